"""Files that are replaced as a whole (`drivers.disk.whole`)."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from havre.drivers.disk.whole import differs, write_whole


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_who_has_the_old_one_open_reads_on_in_it(tmp_path: Path) -> None:
    file = tmp_path / "it"
    write_whole(file, "the old one")
    with open(file) as old:
        write_whole(file, b"new", sync=True)
        assert old.read() == "the old one" and file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["it"]


def test_permissions_are_what_is_said_and_not_what_was_or_is_usual(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_whole(tmp_path / "open", "")
        write_whole(tmp_path / "run", "", mode=0o755)
    finally:
        os.umask(before)
    write_whole(tmp_path / "open", "", mode=0o600)
    assert (mode_of(tmp_path / "open"), mode_of(tmp_path / "run")) == (0o600, 0o755)


def test_permissions_are_those_of_a_file_like_it(tmp_path: Path) -> None:
    like = tmp_path / "like"
    write_whole(tmp_path / "first", "", mode=0o600, like=like)
    like.touch()
    like.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(like, 7, 8)
    write_whole(tmp_path / "second", "", like=like)
    assert mode_of(tmp_path / "first") == 0o600 and mode_of(tmp_path / "second") == 0o640
    found, wanted = (tmp_path / "second").stat(), like.stat()
    assert (found.st_uid, found.st_gid) == (wanted.st_uid, wanted.st_gid)


@pytest.mark.parametrize("sync", [False, True])
def test_what_cannot_be_written_changes_nothing_and_leaves_nothing(tmp_path: Path, sync: bool) -> None:
    file = tmp_path / "it"
    write_whole(file, "the old one")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError):
            write_whole(file, "x" * 5000, sync=sync)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert file.read_text() == "the old one" and os.listdir(tmp_path) == ["it"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", "", sync=sync)
    assert sorted(os.listdir(tmp_path)) == ["folder", "it"]


def test_what_is_not_there_or_cannot_be_read_differs(tmp_path: Path) -> None:
    file = tmp_path / "it"
    assert differs(file, "")
    file.write_bytes(b"\xff")
    assert differs(file, "\xff")
    write_whole(file, "\xff")
    assert not differs(file, "\xff") and differs(file, "")
