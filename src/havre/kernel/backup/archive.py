"""The archive itself: a plain tar whose first member tells its format and whose last ones what was in it.

Nothing of an archive is believed before all of it was read: each member's size and SHA-256, no member more, none less.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from havre.base.errors import ExhaustedError, InvalidError, UnavailableError
from havre.kernel.backup.model import FORMAT, HEAD, MANIFEST, SEAL, Item, Manifest

CHUNK = 1 << 20
SMALL = 64 * 1024**2
_MANIFEST = TypeAdapter(Manifest)


class Writer:
    """Adds members to an archive that is being made, and remembers them."""

    def __init__(self, out: IO[bytes], *, havre: str, made_at: int) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `end`
        self._havre, self._made_at = havre, made_at
        self.items: list[Item] = []
        self._put(HEAD, json.dumps({"format": FORMAT, "havre": havre, "made_at": made_at}).encode())

    def add_bytes(self, name: str, content: bytes, *, mode: int = 0o600) -> None:
        self._put(name, content, mode=mode)
        self.items.append(Item(name, "file", len(content), hashlib.sha256(content).hexdigest(), mode))

    def add_file(self, name: str, file: Path, *, kind: str) -> None:
        """`file` is ours: nobody writes to it any more."""
        with open(file, "rb") as source:
            hashed = _Hashed(source)
            made = self._entry(name, file.stat().st_size, 0o600)
            self._tar.addfile(made, hashed)
            self.items.append(Item(name, kind, made.size, hashed.digest.hexdigest()))

    def end(self, *, schema: Mapping[str, int], settings: Mapping[str, Any]) -> Manifest:
        items = tuple(self.items)
        made = Manifest(FORMAT, self._havre, self._made_at, dict(schema), dict(settings), items)
        content = json.dumps(asdict(made), indent=2).encode()
        self._put(MANIFEST, content)
        self._put(SEAL, hashlib.sha256(content).hexdigest().encode())
        self._tar.close()
        return made

    def _put(self, name: str, content: bytes, *, mode: int = 0o600) -> None:
        self._tar.addfile(self._entry(name, len(content), mode), io.BytesIO(content))

    def _entry(self, name: str, size: int, mode: int) -> tarfile.TarInfo:
        made = tarfile.TarInfo(name)
        made.size, made.mode, made.mtime = size, mode, self._made_at // 1000
        return made


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self._source.read(size)
        self.digest.update(found)
        return found


def verify(file: Path, *, known: Mapping[str, int]) -> Manifest:
    """Read the whole archive; its manifest when everything is as it says.

    known: the newest step of each room's tables that this version has.
    Raises InvalidError for what is damaged, is no archive of ours, or was made by a newer version.
    """
    seen: dict[str, tuple[int, str]] = {}
    texts: dict[str, bytes] = {}
    with _opened(file) as tar:
        for member, content in _members(tar, file):
            if not seen:
                _check_head(member, content, file)
            if member.name in seen:
                raise _damaged(file, f"{member.name} is in it twice")
            digest, size = hashlib.sha256(), 0
            keep = member.name in (MANIFEST, SEAL) and member.size < SMALL
            while part := content.read(CHUNK):
                digest.update(part)
                size += len(part)
                if keep:
                    texts[member.name] = texts.get(member.name, b"") + part
            seen[member.name] = (size, digest.hexdigest())
            if size != member.size:
                raise _damaged(file, f"it ends in the middle of {member.name}")
    if MANIFEST not in texts or SEAL not in texts:
        raise _damaged(file, "it ends too early")
    if seen[MANIFEST][1] != texts[SEAL].decode(errors="replace"):
        raise _damaged(file, "its list of contents has changed")
    found = _manifest(texts[MANIFEST], file)
    for each in found.items:
        if seen.pop(each.name, None) != (each.bytes, each.sha256):
            raise _damaged(file, f"{each.name} is not what was written")
    if extra := seen.keys() - {HEAD, MANIFEST, SEAL}:
        raise _damaged(file, f"{min(extra)} does not belong to it")
    newer = [room for room, step in found.schema.items() if step > known.get(room, 0)]
    if newer:
        raise InvalidError(
            f"{file} was made by a newer Havre ({found.havre}; its tables of {', '.join(sorted(newer))} are newer): "
            "restore it with that version"
        )
    return found


def extract(file: Path, manifest: Manifest, into: Path) -> Iterator[tuple[Item, Path]]:
    """Write each member below `into`, checked once more; yields each when it is there."""
    items = {each.name: each for each in manifest.items}
    with _opened(file) as tar:
        for member, content in _members(tar, file):
            item = items.get(member.name)
            if item is None:
                continue
            place = into / item.name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with open(place, "wb") as out:
                place.chmod(item.mode)
                while part := content.read(CHUNK):
                    digest.update(part)
                    out.write(part)
            if digest.hexdigest() != item.sha256:
                raise _damaged(file, f"{item.name} has changed since it was verified")
            yield item, place


@contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """What says that the disk is full, or that we may not write, becomes one of our errors, naming `folder`."""
    full = ExhaustedError(f"the disk of {folder} is full: nothing was kept; make room or name another")
    try:
        yield
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full from cause
        raise UnavailableError(f"{cause.filename or folder} cannot be read or written: {cause.strerror}") from cause
    except sqlite3.Error as cause:
        if getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL":
            raise full from cause
        raise UnavailableError(f"the state database could not be copied: {cause}") from cause
    except ExhaustedError as cause:
        raise full from cause


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as tar:
            yield tar
    except tarfile.TarError as cause:
        raise InvalidError(f"{file} is not an archive of havre backup, or it is damaged") from cause
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InvalidError(f"{file} cannot be read: {cause.strerror}") from cause


def _members(tar: tarfile.TarFile, file: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for member in tar:
        path = PurePosixPath(member.name)
        content = tar.extractfile(member) if member.isreg() else None
        if content is None or path.is_absolute() or ".." in path.parts:
            raise _damaged(file, f"{member.name!r} has no place in it")
        yield member, content


def _check_head(member: tarfile.TarInfo, content: IO[bytes], file: Path) -> None:
    try:
        said = json.loads(content.read(CHUNK)) if member.name == HEAD else None
        content.seek(0)
        found, version = int(said["format"]), str(said["havre"])  # type: ignore[index]
    except (ValueError, KeyError, TypeError) as cause:
        raise InvalidError(f"{file} is not an archive of havre backup, or it is damaged") from cause
    if found > FORMAT:
        raise InvalidError(f"{file} was made by a newer Havre ({version}): restore it with that version")


def _manifest(content: bytes, file: Path) -> Manifest:
    try:
        return _MANIFEST.validate_json(content)
    except ValidationError as cause:
        raise _damaged(file, "its list of contents cannot be read") from cause


def _damaged(file: Path, why: str) -> InvalidError:
    return InvalidError(f"{file} is damaged: {why}; nothing was restored, take another copy of it")
