"""One example of a kind of app through the stock command line: created, deployed, asked, deployed again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from havre.apps.stacks import open_stacks
from havre.kernel.clock import SystemClock
from havre.kernel.config import host_environment
from tests.room.oci_rig import write_base_images
from tests.room.runtime_suite import EXAMPLES, Row
from tests.system.rig import Installation, commit, git, until

_TOOK = re.compile(r"Successfully deployed in ([\d.]+) s")
NOT_OURS = shutil.ignore_patterns("node_modules", "dist", ".git", "target", "build", "_build", "README.md")


@dataclass(frozen=True)
class Proof:
    """What was seen of one row: seconds of the platform's own clock, from the push to the switch.

    cold_s: nothing was built before. cached_s: the same commit again, from its kept build. commit: of this project.
    """

    row: str
    runtime: str
    cold_s: float
    cached_s: float
    commit: str


def prove(havre: Installation, row: Row) -> Proof:
    """Take `row` through the command line, the same commit a second time from its kept build; it ends deleted."""
    folder, host = _app(havre, row)
    cold = _seconds(havre.clever("deploy", cwd=folder, limit_s=1500).stdout)
    ask(havre, row, host)
    cached = _seconds(havre.clever("restart", cwd=folder, limit_s=300).stdout)
    ask(havre, row, host)
    havre.clever("delete", "--yes", cwd=folder)
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=EXAMPLES, capture_output=True, text=True)
    return Proof(str(row), row.runtime, cold, cached, head.stdout.strip())


def deploy_once(havre: Installation, row: Row) -> None:
    """Take `row` through the command line once; it ends deleted."""
    folder, host = _app(havre, row)
    havre.deploy(folder, limit_s=1500)
    ask(havre, row, host)
    havre.clever("delete", "--yes", cwd=folder)


def _app(havre: Installation, row: Row) -> tuple[Path, str]:
    """A repository with the example, of an app with its variables, and the host name that it will have."""
    name = re.sub(r"[^a-z0-9]+", "-", str(row).lower()).strip("-")
    folder = havre.base / name
    shutil.copytree(EXAMPLES / row.example, folder, ignore=NOT_OURS)
    git(folder, "init", "-q", "-b", "master")
    commit(folder, "first")
    havre.clever("create", "-t", row.runtime, name, cwd=folder)
    havre.put_env(folder, row.env)
    return folder, f"{name}.havre.localhost"


def base_images(layouts: Path) -> None:
    """What docker's example begins with, where the installation looks for it."""
    root = Path(sys.prefix) / "share" / "havre" / "stacks"
    found = open_stacks(root, host_environment(), now=SystemClock().now)
    layouts.chmod(0o755)
    anyio.run(write_base_images, found, layouts)


def ask(havre: Installation, row: Row, host: str) -> None:
    for path, text in row.answers.items():
        until(lambda path=path: havre.get(host, path)[0] == 200, what=f"{host}{path} answers 200")  # type: ignore[misc]
        body = havre.get(host, path)[2].decode(errors="replace")
        assert text in body.replace("from " + host.split(".")[0], "from shop"), f"{path}: {body[:500]}"


def is_proving() -> bool:
    """`make prove` names a file for proofs; else once through the command line is enough."""
    return bool(os.environ.get("HAVRE_PROOFS"))


def try_or_prove(havre: Installation, row: Row) -> None:
    if is_proving():
        record(prove(havre, row), Path(os.environ["HAVRE_PROOFS"]))
    else:
        deploy_once(havre, row)


def record(proof: Proof, file: Path) -> None:
    """Keep the proof beside the others."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known[proof.row] = asdict(proof)
    file.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")


def _seconds(said: str) -> float:
    found = _TOOK.findall(said)
    assert found, said
    return float(found[-1])
