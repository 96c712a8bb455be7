"""Versions of what the stack has one of: the build ends, saying what there is, when the app asks for another."""

from __future__ import annotations

from collections.abc import Sequence

from havre.apps.runtimes.plan import Command

CHECK = """
asked=$1 who=$2 what=$3; shift 3
have=$("$@") || exit 1
case "$have." in
  "$asked".*) echo "$what $have" ;;
  *) echo "$who asks for $what $asked, which cannot be had here: this installation has $what $have"; exit 1 ;;
esac
"""


def version_check(what: str, *, asked: str, who: str, program: Sequence[str]) -> tuple[Command, ...]:
    """The command that refuses a version other than the stack's; none when nothing is asked.

    what: the language, for people. who: the variable or file that asks. program: prints the version that there is.
    """
    wanted = asked.strip().lower().lstrip("v=~^> ").removesuffix(".x").removesuffix(".*")
    if not wanted or wanted in ("latest", "stable", "*"):
        return ()
    return (Command(f"{what} {wanted}", ("/bin/sh", "-c", CHECK, "check", wanted, who, what, *program), quiet=True),)
