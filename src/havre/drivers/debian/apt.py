"""apt-get as an ordinary program: with lists, caches and a state of our own, it needs no root and changes no host.

The host's sources, keys, proxies and preferences are followed; its hooks are not run.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from havre.base.errors import UnavailableError
from havre.drivers.debian.model import Closure, Package, parse_uris
from havre.drivers.disk.whole import differs, write_whole

HOST_LISTS = Path("/var/lib/apt/lists")
COMMAND_S, REFRESH_S, FETCH_S = 120.0, 180.0, 1800.0
NEEDED = ("apt-get", "dpkg-deb", "tar")
# what apt takes for installed: trees have a merged /usr already, so that the package which would make one, with all of
# perl, need not come
INSTALLED = """\
Package: usr-is-merged
Status: install ok installed
Architecture: all
Multi-Arch: foreign
Version: 99
Maintainer: Havre <havre@localhost>
Description: trees are made with a merged /usr

"""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "i686": "i386"}


def missing() -> tuple[str, ...]:
    """The programs that stacks are made with and that this host does not have."""
    return tuple(name for name in NEEDED if shutil.which(name) is None)


def architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


class Apt:
    """apt-get below `root`. environment: what it is told of proxies and the like. Callers take turns."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root = root
        self._lists = root / "state" / "lists"
        self._conf = root / "apt.conf"
        kept = {name: value for name, value in environment.items() if not name.startswith(("DPKG_", "DEB"))}
        self.held: tuple[int, ...] = ()  # the lock: apt-get keeps it when its caller dies, until it has ended
        self._environment = kept | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}

    def stamp(self) -> str:
        """What the lists are, as a short text that changes with them; empty when there are none."""
        released = sorted(self._lists.glob("*Release"))
        if not any(self._lists.glob("*_Packages*")):
            return ""
        digest = hashlib.sha256(architecture().encode())
        for each in released:
            digest.update(each.name.encode() + each.read_bytes())
        return digest.hexdigest()[:16]

    async def refresh(self) -> str:
        """Fetch the package lists that the host's sources name.

        Returns apt's words when some sources answered and others did not, else nothing. Raises UnavailableError with
        them when none did.
        """
        self._prepare()
        done = await self._run(["update", "-q", "--error-on=any"], limit_s=REFRESH_S)
        said = words(done.stderr)
        answered = done.returncode == 0 or _some_answered(done.stdout.decode(errors="replace"))
        if not answered or not self.stamp():
            raise UnavailableError(f"the package lists could not be fetched: {said}")
        return said if done.returncode != 0 else ""

    def borrow(self) -> bool:
        """Take the host's own lists, when there are any that we may read: better than none. Whether there were."""
        self._prepare()
        try:
            found = [each for each in HOST_LISTS.iterdir() if each.is_file() and each.name != "lock"]
            for each in found:
                shutil.copyfile(each, self._lists / each.name)
        except OSError:
            return False
        return bool(self.stamp())

    async def resolve(self, packages: Sequence[str]) -> Closure:
        """Everything that `packages` need. Raises UnavailableError with apt's own words."""
        self._prepare()
        done = await self._run(["install", "-y", "-qq", "--print-uris", *packages], limit_s=COMMAND_S)
        closure = parse_uris(done.stdout.decode(errors="replace"))
        if done.returncode != 0 or not closure.packages:
            raise UnavailableError("the packages cannot be had: " + words(done.stderr))
        return closure

    async def fetch(self, packages: Sequence[Package], folder: Path) -> None:
        """The files of `packages` into `folder`, checked against the signed lists. Raises UnavailableError."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        wanted = [f"{each.name}:{architecture()}={each.version}" for each in packages]
        done = await self._run(["download", "-qq", *wanted], limit_s=FETCH_S, cwd=folder)
        absent = [each.file for each in packages if not (folder / each.file).is_file()]
        if done.returncode != 0 or absent:
            raise UnavailableError("packages could not be fetched: " + (words(done.stderr) or ", ".join(absent)[:200]))

    async def _run(
        self, argv: list[str], *, limit_s: float, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run apt-get to its end; killed when the caller is cancelled or `limit_s` have passed."""
        command = ["apt-get", "-c", str(self._conf), *argv]
        try:
            with anyio.fail_after(limit_s):
                return await anyio.run_process(
                    command,
                    check=False,
                    env=self._environment,
                    cwd=cwd or self._root,
                    stdin=subprocess.DEVNULL,
                    pass_fds=self.held,
                )
        except FileNotFoundError as cause:
            raise UnavailableError("apt-get is not installed on this machine") from cause
        except TimeoutError as cause:
            raise UnavailableError(f"apt-get {argv[0]} did not end within {limit_s:.0f} s") from cause

    def _prepare(self) -> None:
        for each in (self._lists / "partial", self._root / "cache", self._root / "empty" / "partial"):
            each.mkdir(parents=True, exist_ok=True)
        for file, content in ((self._root / "state" / "status", INSTALLED), (self._conf, self._configuration())):
            if differs(file, content):
                write_whole(file, content)

    def _configuration(self) -> str:
        """Read by apt after the host's own (apt.conf(5)): what it must not follow of those is cleared first.

        Dir::Cache::archives is a folder that stays empty, because `--print-uris` leaves out what it finds there.
        """
        root = self._root
        return f"""\
#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
#clear APT::Default-Release;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  flatDescription "$(RELEASE) Packages";
  Optional "0";
}};
APT::Architecture "{architecture()}";
APT::Architectures {{ "{architecture()}"; }};
APT::Install-Recommends "0";
APT::Install-Suggests "0";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Debug::NoLocking "1";
Dir::State "{root}/state";
Dir::State::lists "lists";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::archives "{root}/empty";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
"""


def _some_answered(printed: str) -> bool:
    """Whether apt-get update got a release file, or heard that it has not changed, from any source."""
    return any(line.startswith(("Get:", "Hit:")) and "Release" in line for line in printed.splitlines())


def words(stderr: bytes) -> str:
    """What apt complained of, without its marks."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    errors = [line[2:].strip() for line in lines if line.startswith("E:")] or lines
    return "; ".join(dict.fromkeys(errors))[-400:]
