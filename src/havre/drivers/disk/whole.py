"""Files that are replaced as a whole: who reads one meets what it was or what it is, never a half.

That holds while the writer is killed and while several write the same file: each writes beside it, under a name of its
own, and renames that over it (rename(2)). Whoever renames last is the one who stays.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(
    file: Path, content: str | bytes, *, mode: int = 0o644, like: Path | None = None, sync: bool = False
) -> None:
    """Make `file` hold `content`, with exactly the permissions `mode`, or with those and the owner of `like` if it is
    there.

    `sync`: the content is on the disk before the old one is given up. Without it a loss of power may leave an empty
    file: whatever cannot be made again wants it. Raises OSError; `file` is then what it was, and nothing is left over.
    """
    fresh = file.with_name(f".{file.name}.{os.urandom(4).hex()}.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            os.fchmod(out.fileno(), mode)
            if like is not None:
                with contextlib.suppress(OSError):
                    seen = like.stat()
                    os.fchmod(out.fileno(), seen.st_mode & 0o777)
                    os.fchown(out.fileno(), seen.st_uid, seen.st_gid)
            out.write(content.encode() if isinstance(content, str) else content)
            if sync:
                out.flush()
                os.fsync(out.fileno())
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def differs(file: Path, content: str) -> bool:
    """Whether `file` is not there or holds something else."""
    try:
        return file.read_text() != content
    except (OSError, ValueError):
        return True
