"""Takes a backup of an installation, running or not.

The database first, in one snapshot, then what only ever grows beside it: files and repositories therefore have at least
what the database names. The archive appears whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from havre.base.errors import BrokenError, ConflictError, NotFoundError, UnavailableError
from havre.drivers import git
from havre.kernel.backup.archive import Writer, room_for
from havre.kernel.backup.model import DATABASE, SETTINGS, Manifest

Tell = Callable[[str], None]
KEPT = (  # below the data directory
    "credentials.json", "ssh_host_ed25519", "edge/secret", "edge/ca", "known-hosts", "network/versions",
    "network/requests",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """An installation. settings_file: its settings, which come along. settings: see Manifest."""

    place: Path
    havre: str
    settings_file: Path | None
    settings: Mapping[str, Any]


def take(source: Source, to: Path, *, now: int, tell: Tell) -> tuple[Path, Manifest]:
    """Write the archive to `to`, or into it when it is a directory. now: ms.

    Raises NotFoundError when there is nothing to back up, ConflictError when the file exists, ExhaustedError when the
    disk is full, UnavailableError when something cannot be read.
    """
    if not (source.place / DATABASE).is_file():
        raise NotFoundError(f"there is no installation in {source.place} (no {DATABASE}); say --data DIR")
    file = to / f"havre-{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%SZ}.tar" if to.is_dir() else to
    if os.path.lexists(file):
        raise ConflictError(f"{file} exists already; name another file")
    if not file.parent.is_dir():
        raise NotFoundError(f"there is no directory {file.parent}")
    with room_for(file.parent):
        scratch = Path(tempfile.mkdtemp(prefix=".havre-backup-", dir=file.parent))
        try:
            fresh = scratch / "archive"
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                manifest = _write(source, Writer(out, havre=source.havre, made_at=now), scratch, tell=tell)
                out.flush()
                os.fsync(out.fileno())
            fresh.rename(file)
            _sync(file.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return file, manifest


def _write(source: Source, writer: Writer, scratch: Path, *, tell: Tell) -> Manifest:
    database = scratch / DATABASE
    schema = snapshot(source.place / DATABASE, database)
    tell(f"state        {database.stat().st_size / 1024**2:.1f} MiB")
    writer.add_file(DATABASE, database, kind="database")
    database.unlink()
    files = sorted(_files(source.place))
    for each in files:
        writer.add_bytes(str(each.relative_to(source.place)), each.read_bytes(), mode=each.stat().st_mode & 0o777)
    if source.settings_file is not None:
        writer.add_bytes(SETTINGS, source.settings_file.read_bytes())
    tell(f"files        {len(files)}: credentials, keys, the internal authority")
    repositories = sorted((source.place / "git").glob("*.git"))
    for number, each in enumerate(repositories, 1):
        _add_repository(each, writer, scratch)
        tell(f"repository   {number} of {len(repositories)}: {each.stem}")
    return writer.end(schema=schema, settings=source.settings)


def _add_repository(git_dir: Path, writer: Writer, scratch: Path) -> None:
    """Its history before its commits: what the history names is among them."""
    logs = [each for each in sorted((git_dir / "logs").rglob("*")) if each.is_file()]
    told = {each: each.read_bytes() for each in logs}
    bundle = scratch / "bundle"
    try:
        has_any = git.write_bundle(git_dir, bundle)
    except UnavailableError as cause:
        if not git_dir.exists():
            return  # its app was deleted a moment ago
        raise BrokenError(f"repository {git_dir.stem}: {cause.message}") from cause
    if has_any:
        writer.add_file(f"git/{git_dir.name}.bundle", bundle, kind="repository")
        bundle.unlink()
        for each, content in told.items():
            writer.add_bytes(f"git/{git_dir.name}/{each.relative_to(git_dir)}", content)


def snapshot(database: Path, into: Path) -> dict[str, int]:
    """Copy a database in one read transaction, while others write; the schema step of each room.

    Raises BrokenError when the copy is not sound.
    """
    with _open(database) as source, _open(into) as copy:
        source.backup(copy)
        copy.execute("pragma journal_mode=delete")
        if (said := copy.execute("pragma quick_check").fetchone()[0]) != "ok":
            raise BrokenError(f"the state database is damaged: {said}; look at an earlier backup")
        return dict(copy.execute("select room, step from schema_version").fetchall())


class _open:
    """A connection that is closed at the end, and private to us."""

    def __init__(self, file: Path) -> None:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self._conn = sqlite3.connect(file, timeout=30)

    def __enter__(self) -> sqlite3.Connection:
        return self._conn

    def __exit__(self, *_: object) -> None:
        self._conn.close()


def _files(place: Path) -> Iterator[Path]:
    for name in KEPT:
        found = place / name
        for each in [found, *found.rglob("*")] if found.exists() else []:
            if each.is_file() and not each.is_symlink() and each.suffix != ".new":
                yield each


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
