"""`clevercloud/cron.json`: which commands an instance runs at which minutes. Pure.

A line is a crontab's (crontab(5)): five fields or a nickname such as `@daily`, then a line for the shell; times are
UTC. Where both days are restricted, either makes the day. An unescaped `%` ends the line, what follows is its input.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from havre.base.errors import InvalidError

FILE = "clevercloud/cron.json"
LIMIT_BYTES = 64 * 1024
MOST_JOBS = 100
NICKNAMES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class Field:
    """The numbers of one field of a crontab. `is_any`: it began with a star, so it does not restrict the day."""

    numbers: frozenset[int]
    is_any: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A command and its minutes. `stdin` is what it reads. `at_start`: once when the instance starts, no minutes."""

    line: str
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    stdin: str = ""
    at_start: bool = False


def parse(text: str) -> tuple[Job, ...]:
    """The jobs of a cron.json. Raises InvalidError naming the entry and what is wrong with it."""
    try:
        lines = json.loads(text)
    except ValueError as cause:
        raise InvalidError(f"{FILE} is not valid JSON: {cause}") from cause
    if not isinstance(lines, list) or not all(isinstance(each, str) for each in lines):
        raise InvalidError(f'{FILE} must be an array of crontab lines, such as ["0 4 * * * $ROOT/nightly.sh"]')
    if len(lines) > MOST_JOBS:
        raise InvalidError(f"{FILE} may have {MOST_JOBS} lines at most, not {len(lines)}")
    return tuple(_job(line.strip()) for line in lines if line.strip() and not line.strip().startswith("#"))


def _job(line: str) -> Job:
    nickname, _, command = line.partition(" ")
    if nickname.lower() == "@reboot":
        return _made(line, "* * * * *", command, at_start=True)
    if nickname.startswith("@"):
        if nickname.lower() not in NICKNAMES:
            raise InvalidError(f"{FILE}: {nickname} is not one of @reboot, {', '.join(NICKNAMES)}")
        return _made(line, NICKNAMES[nickname.lower()], command)
    words = line.split(None, 5)
    if len(words) < 6:
        raise InvalidError(f"{FILE}: {line!r} is not five fields of time and a command")
    return _made(line, " ".join(words[:5]), words[5])


def _made(line: str, fields: str, command: str, *, at_start: bool = False) -> Job:
    if not command.strip() or "\n" in command or "\0" in command:
        raise InvalidError(f"{FILE}: {line!r} has no command of one line")
    program, stdin = _cut(command.strip())
    minute, hour, day, month, weekday = fields.split()
    try:
        return Job(
            line=program,
            minute=_field(minute, 0, 59),
            hour=_field(hour, 0, 23),
            day=_field(day, 1, 31),
            month=_field(month, 1, 12, names=_MONTHS, first=1),
            weekday=_weekday(_field(weekday, 0, 7, names=_DAYS)),
            stdin=stdin,
            at_start=at_start,
        )
    except ValueError as cause:
        raise InvalidError(f"{FILE}: {line!r}: {cause}") from cause


def _cut(command: str) -> tuple[str, str]:
    """The line for the shell, and its standard input (what stands after the first bare `%`)."""
    parts = [part.replace(r"\%", "%") for part in re.split(r"(?<!\\)%", command)]
    return parts[0], "".join(f"{part}\n" for part in parts[1:])


def _field(text: str, low: int, high: int, *, names: tuple[str, ...] = (), first: int = 0) -> Field:
    numbers: set[int] = set()
    for part in text.lower().split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is not a number, a range or a step")
        start, end, step = found.groups()
        if start == "*" and end is None:
            begin, last = low, high
        else:
            begin = _number(start, names, first)
            last = _number(end, names, first) if end else high if step else begin
        if not low <= begin <= last <= high or (step is not None and int(step) == 0):
            raise ValueError(f"{part!r} is not within {low} to {high}")
        numbers |= set(range(begin, last + 1, int(step or 1)))
    return Field(frozenset(numbers), text.startswith("*"))


def _number(text: str, names: tuple[str, ...], first: int) -> int:
    if text in names:
        return names.index(text) + first
    if not text.isdigit():
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _weekday(found: Field) -> Field:
    """Sunday is 0 and 7."""
    return Field(frozenset(number % 7 for number in found.numbers), found.is_any)
