"""A backup and its restore: whole or not at all, whatever is damaged, newer, full or in the way."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio
import pytest

from havre import daemon
from havre.base.errors import ConflictError, ExhaustedError, HavreError, InvalidError, NotFoundError
from havre.cli import backups as command
from havre.kernel import backup
from havre.kernel.backup import archive
from havre.kernel.lock import locked
from tests.room.edge_rig import edge_kernel

KNOWN = {"apps": 4, "kernel.events": 1}
NOW = 1_764_000_000_000
GIT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def run_git(*args: str, cwd: Path) -> str:
    who = ["-c", "user.name=Dev", "-c", "user.email=dev@example.test"]
    done = subprocess.run(["git", *who, *args], cwd=cwd, env=GIT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A small installation: a database, keys, a repository whose first commit a forced push left behind, an empty one."""
    made = tmp_path / "data"
    (made / "edge" / "ca").mkdir(parents=True)
    (made / "edge" / "ca" / "root.key").write_text("key of the authority")
    (made / "edge" / "secret").write_text("s")
    (made / "known-hosts" / "app_1").mkdir(parents=True)
    (made / "known-hosts" / "app_1" / "hosts").write_text("git.example.test ssh-ed25519 AAAA")
    (made / "credentials.json").write_text('{"token": "t"}')
    (made / "releases" / "app_1").mkdir(parents=True)
    (made / "logs.db").write_text("not of the control plane")
    with sqlite3.connect(made / "havre.db") as conn:
        conn.execute("pragma journal_mode=wal")
        conn.execute("create table schema_version (room text primary key, step integer)")
        conn.executemany("insert into schema_version values (?, ?)", KNOWN.items())
        conn.execute("create table said (number integer primary key)")
    work = tmp_path / "work"
    work.mkdir()
    run_git("init", "-q", "-b", "master", cwd=work)
    for name in ("app_1", "app_2"):
        run_git("init", "-q", "--bare", "-b", "master", str(made / "git" / f"{name}.git"), cwd=work)
    bare = made / "git" / "app_1.git"
    run_git("config", "core.logAllRefUpdates", "always", cwd=bare)
    for message in ("left behind", "kept"):
        (work / "file").write_text(message)
        run_git("add", "-A", cwd=work)
        run_git("commit", "-q", *(["--amend"] if message == "kept" else []), "-m", message, cwd=work)
        run_git("push", "-q", "-f", str(bare), "master", cwd=work)
    return made


def take(place: Path, to: Path, **changes: Any) -> Path:
    source = backup.Source(place, "9.9", None, {"base_domain": "x.test"} | changes)
    return backup.take(source, to, now=NOW, tell=lambda _: None)[0]


def restore(file: Path, into: Path, known: dict[str, int] = KNOWN) -> backup.Manifest:
    return backup.restore(file, into, known=known, now=NOW, tell=lambda _: None)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_what_cannot_be_made_again_is_there_again(place: Path, tmp_path: Path) -> None:
    file = take(place, tmp_path)
    assert file.name == "havre-20251124T160000Z.tar" and file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == [], "nothing is left beside it"
    new = tmp_path / "new"
    manifest = restore(file, new)
    assert manifest.havre == "9.9" and manifest.schema == KNOWN and manifest.repositories == 1
    for name in ("edge/ca/root.key", "edge/secret", "known-hosts/app_1/hosts", "credentials.json"):
        assert (new / name).read_bytes() == (place / name).read_bytes()
    assert {each.name for each in new.iterdir()} == {
        "havre.db",
        "edge",
        "known-hosts",
        "credentials.json",
        "git",
        "lock",
    }
    assert new.stat().st_mode & 0o777 == 0o700
    old_git, new_git = place / "git" / "app_1.git", new / "git" / "app_1.git"
    for what in (("for-each-ref",), ("reflog", "show", "master", "--format=%H %s")):
        assert run_git(*what, cwd=new_git) == run_git(*what, cwd=old_git) != ""
    left = run_git("reflog", "show", "master", "--format=%H", cwd=old_git).splitlines()[-1]
    assert run_git("cat-file", "-p", f"{left}:file", cwd=new_git) == "left behind"
    run_git("fsck", "--full", "--strict", cwd=new_git)


def test_a_backup_under_writes_has_all_that_was_acknowledged_before_and_is_sound(place: Path, tmp_path: Path) -> None:
    written, stop = [0], threading.Event()

    def write() -> None:
        conn = sqlite3.connect(place / "havre.db", timeout=30)
        while not stop.is_set():
            with conn:
                conn.execute("insert into said values (?)", (written[0],))
            written[0] += 1
        conn.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            before = written[0]
            file = take(place, tmp_path / f"{number}.tar")
            restore(file, tmp_path / f"new{number}")
            with sqlite3.connect(tmp_path / f"new{number}" / "havre.db") as conn:
                rows = [row for (row,) in conn.execute("select number from said order by number")]
                assert rows == list(range(len(rows))) and len(rows) >= before
                assert conn.execute("pragma integrity_check").fetchone() == ("ok",)
    finally:
        stop.set()
        writer.join()
    assert written[0] > 5


def test_every_damage_is_seen_before_anything_is_written(place: Path, tmp_path: Path) -> None:
    file, new = take(place, tmp_path / "b.tar"), tmp_path / "new"
    whole = file.read_bytes()
    bad = tmp_path / "bad.tar"
    with tarfile.open(file) as tar:
        spans = [(each.name, each.offset, each.offset_data, each.size) for each in tar]
    for name, head, begin, size in spans:
        for at in (head, begin, begin + size // 2, begin + size - 1):
            bad.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
            with pytest.raises(InvalidError, match=r"damaged|not an archive|has no place|newer"):
                restore(bad, new)
            assert not new.exists(), name
        for end in (head, begin, begin + size // 2):
            bad.write_bytes(whole[:end])
            with pytest.raises(InvalidError, match=r"damaged|not an archive"):
                restore(bad, new)
    bad.write_text("no archive at all")
    with pytest.raises(InvalidError, match="not an archive"):
        restore(bad, new)
    with pytest.raises(InvalidError, match="cannot be read: No such file"):
        restore(tmp_path / "nowhere.tar", new)
    assert not new.exists()


def resealed(file: Path, into: Path, change: Any) -> Path:
    """The archive as somebody wrote it who may have changed anything, with a list of contents that agrees."""
    members = {}
    with tarfile.open(file) as tar:
        for each in tar:
            content = tar.extractfile(each)
            assert content is not None
            members[each.name] = content.read()
    change(members)
    members["manifest.sha256"] = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
    with tarfile.open(into, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return into


def test_an_archive_of_a_newer_version_is_refused_by_name(place: Path, tmp_path: Path) -> None:
    file, new = take(place, tmp_path / "b.tar"), tmp_path / "new"
    with pytest.raises(InvalidError, match=r"newer Havre \(9.9; its tables of apps are newer\)"):
        restore(file, new, known=KNOWN | {"apps": 3})
    with pytest.raises(InvalidError, match=r"tables of kernel.events are newer"):
        restore(file, new, known={"apps": 4})

    def newer(members: dict[str, bytes]) -> None:
        members["havre-backup.json"] = json.dumps({"format": 2, "havre": "12.0"}).encode()

    with pytest.raises(InvalidError, match=r"newer Havre \(12.0\)"):
        restore(resealed(file, tmp_path / "newer.tar", newer), new)
    assert not new.exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/havre-outside", "git/../../outside"])
def test_an_archive_writes_nothing_outside_of_its_folder(place: Path, tmp_path: Path, name: str) -> None:
    def plant(members: dict[str, bytes]) -> None:
        told = json.loads(members["manifest.json"])
        told["items"].append(asdict(archive.Item(name, "file", 1, hashlib.sha256(b"x").hexdigest())))
        del members["manifest.json"], members["manifest.sha256"]
        members |= {name: b"x", "manifest.json": json.dumps(told).encode()}

    with pytest.raises(InvalidError, match="has no place in it"):
        restore(resealed(take(place, tmp_path / "b.tar"), tmp_path / "bad.tar", plant), tmp_path / "new")
    assert not (tmp_path / "outside").exists() and not Path("/tmp/havre-outside").exists()


def test_a_folder_with_something_in_it_is_left_alone(place: Path, tmp_path: Path) -> None:
    file, before = take(place, tmp_path / "b.tar"), everything(place)
    with pytest.raises(ConflictError, match="is not empty"):
        restore(file, place)
    assert everything(place) == before
    new = tmp_path / "new"
    new.mkdir()
    with locked(new), pytest.raises(ConflictError, match="already running"):
        restore(file, new)
    restore(file, new)
    with pytest.raises(ConflictError, match="is not empty"):
        restore(file, new)


KILLED = """
import os, sys
from pathlib import Path
from havre.kernel import backup
from havre.kernel.backup import restore
class Dies(type(Path())):
    def rename(self, target):
        if self.name == sys.argv[3]: os.kill(os.getpid(), 9)
        return super().rename(target)
backup.restore(Path(sys.argv[1]), Dies(sys.argv[2]), known={"apps": 4, "kernel.events": 1}, now=1, tell=lambda _: None)
"""


@pytest.mark.parametrize("at", ["credentials.json", "git", "havre.db"])
def test_a_restore_that_was_killed_is_no_installation_and_is_done_again(place: Path, tmp_path: Path, at: str) -> None:
    file, new = take(place, tmp_path / "b.tar"), tmp_path / "new"
    done = subprocess.run([sys.executable, "-c", KILLED, str(file), str(new), at], capture_output=True)
    assert done.returncode == -9, done.stderr
    with pytest.raises(ConflictError, match="was cut off"), locked(new):
        pass
    restore(file, new)
    with locked(new):
        assert not (new / ".restoring").exists() and (new / "havre.db").exists()


def test_a_backup_takes_nobodys_place_and_needs_an_installation(place: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConflictError, match="exists already"):
        take(place, tmp_path / "mine")
    with pytest.raises(NotFoundError, match="no directory"):
        take(place, tmp_path / "nowhere" / "b.tar")
    with pytest.raises(NotFoundError, match="no installation"):
        take(tmp_path, tmp_path / "b.tar")
    assert (tmp_path / "mine").read_text() == "mine"


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk")
def test_a_full_disk_keeps_nothing_of_a_backup_and_nothing_of_a_restore(place: Path, tmp_path: Path) -> None:
    with sqlite3.connect(place / "havre.db") as conn:
        conn.execute("create table much (x blob)")
        conn.execute("insert into much values (randomblob(3000000))")
    file = take(place, tmp_path / "b.tar")
    with small_disk(tmp_path / "small", "2m") as small:
        with pytest.raises(ExhaustedError, match=f"the disk of {small} is full"):
            take(place, small)
        assert list(small.iterdir()) == []
        with pytest.raises(ExhaustedError, match="is full"):
            restore(file, small / "new")
        assert [each.name for each in (small / "new").iterdir()] == ["lock"]
        (small / "new" / "lock").unlink()
    with small_disk(tmp_path / "larger", "20m") as larger:
        restore(file, larger)
        assert (larger / "havre.db").exists()


def test_a_repository_that_is_damaged_ends_the_backup_by_name(place: Path, tmp_path: Path) -> None:
    for each in (place / "git" / "app_1.git" / "objects").rglob("*"):
        if each.is_file():
            each.unlink()
    with pytest.raises(HavreError, match="repository app_1: git could not"):
        take(place, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_the_command_knows_the_tables_of_every_room() -> None:
    async def rooms() -> set[str]:
        async with edge_kernel() as kernel:
            made, _ = daemon.build_rooms(kernel)
            return {each.schema.room for each in made if each.schema is not None}

    assert anyio.run(rooms) | {"kernel.events", "kernel.operations"} == command.known_schema().keys()
