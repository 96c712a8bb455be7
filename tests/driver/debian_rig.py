"""A Debian archive of tiny packages in a folder, and apt-get told to know no other."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from havre.drivers import debian
from havre.drivers.debian import apt


@dataclass
class Archive:
    """What is published stands in `folder`; `environment` makes apt-get ask there and nowhere else."""

    base: Path
    published: dict[str, str] = field(default_factory=dict)  # name -> the paragraph of its package
    at: int = 1_700_000_000_000  # the moment, for Stacks

    def __post_init__(self) -> None:
        self.folder = self.base / "archive"
        self.folder.mkdir(parents=True)
        (self.base / "parts").mkdir()
        uri = "copy:" + quote(str(self.folder))  # of a file: address apt would keep links instead of lists
        (self.base / "sources.list").write_text(f"deb [trusted=yes] {uri} ./\n")
        lines = [f'Dir::Etc::sourcelist "{self.base}/sources.list";', f'Dir::Etc::sourceparts "{self.base}/parts";']
        lines += [f'Dir::Etc::preferencesparts "{self.base}/parts";', f'Dir::Etc::parts "{self.base}/parts";']
        (self.base / "apt.conf").write_text("\n".join(lines) + "\n")
        self.index()

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "APT_CONFIG": str(self.base / "apt.conf")}

    def publish(
        self,
        name: str,
        version: str = "1",
        *,
        files: Mapping[str, str] | None = None,
        modes: Mapping[str, int] | None = None,
        needs: str = "",
    ) -> None:
        """Put a package in the archive, in the place of its other versions."""
        for old in self.folder.glob(f"{name}_*.deb"):
            old.unlink()
        tree = self.base / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        for path, content in (files or {f"usr/share/{name}/version": version}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(content)
        for path, mode in (modes or {}).items():
            (tree / path).chmod(mode)
        paragraph = f"Package: {name}\nVersion: {version}\nArchitecture: {apt.architecture()}\nMaintainer: nobody\n"
        paragraph += "Description: for tests\n" + (f"Depends: {needs}\n" if needs else "")
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(paragraph)
        file = self.folder / f"{name}_{version.replace(':', '%3a')}_{apt.architecture()}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        self.published[name] = f"{paragraph}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n"
        self.index()

    def index(self) -> None:
        text = "\n".join(self.published.values())
        (self.folder / "Packages").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (self.folder / "Release").write_text(f"Suite: tests\nSHA256:\n {digest} {len(text.encode())} Packages\n")

    def close(self) -> None:
        """Nobody answers any more."""
        self.folder.rename(self.base / "closed")

    def open(self) -> None:
        (self.base / "closed").rename(self.folder)

    def a_day_later(self) -> None:
        self.at += 86_400_001

    def stacks(self, name: str = "stacks") -> debian.Stacks:
        """Another user of the same folder, as another process is."""
        return debian.Stacks(self.base / name, self.environment, now=lambda: self.at)
