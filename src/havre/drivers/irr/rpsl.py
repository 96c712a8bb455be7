"""RPSL as text (RFC 2622 section 2, RFC 4012): objects of attributes, read and written, without a meaning yet.

A file or an answer is a run of objects with empty lines between them. An attribute is `name: value`; a line that begins
with a blank, a tab or a plus goes on with the value before it; `#` begins a comment; a line that begins with `%` is a
server's remark. What was read can be written again without loss of words, order or comments.

Registries are outside: every reader here has limits and answers bad text with InvalidError and the line, never with a
crash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from havre.base.errors import InvalidError

__all__ = ["MOST_BYTES", "Attribute", "RpslObject", "objects", "one", "written"]
MOST_BYTES = 64 * 1024 * 1024
MOST_OBJECT_BYTES = 8 * 1024 * 1024  # the largest as-sets are below one
MOST_ATTRIBUTES = 100_000
COLUMN = 16
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
ENDS = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. `text` is the value as written: its lines joined by a newline, comments included."""

    name: str
    text: str

    @property
    def value(self) -> str:
        """The value alone: without comments, its lines joined by one blank."""
        lines = (line.partition("#")[0].strip() for line in self.text.split("\n"))
        return " ".join(line for line in lines if line)

    @property
    def words(self) -> tuple[str, ...]:
        """The value as a list: what commas and blanks separate."""
        return tuple(self.value.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class RpslObject:
    """An object: attributes in their order, of which the first names its class and its key."""

    attributes: tuple[Attribute, ...]

    @property
    def kind(self) -> str:
        """The class, in lower case: `route`, `as-set`, ..."""
        return self.attributes[0].name

    @property
    def key(self) -> str:
        return self.attributes[0].value

    def first(self, name: str) -> str:
        """The value of the first attribute of that name, empty when there is none."""
        return next((each.value for each in self.attributes if each.name == name), "")

    def every(self, *names: str) -> tuple[str, ...]:
        """The values of all attributes of these names, in their order."""
        return tuple(each.value for each in self.attributes if each.name in names)

    def words(self, *names: str) -> tuple[str, ...]:
        """What commas and blanks separate in all attributes of these names."""
        return tuple(word for each in self.attributes if each.name in names for word in each.words)


def of(pairs: Iterable[tuple[str, str]]) -> RpslObject:
    """An object of our own. Raises InvalidError for a name that RPSL does not have."""
    made = tuple(Attribute(name.lower(), "\n".join(_tidy(line) for line in ENDS.split(text))) for name, text in pairs)
    wrong = [each.name for each in made if not NAME.fullmatch(each.name)]
    if wrong or not made:
        raise InvalidError(f"{wrong[0]!r} cannot be the name of an attribute" if wrong else "an object has attributes")
    return RpslObject(made)


def objects(text: str, *, name: str = "the text") -> Iterator[RpslObject]:
    """Yield the objects of `text` as they are read.

    name: what is being read, for the message. Raises InvalidError with the line when the text is not RPSL, or is larger
    than a registry's answer may be.
    """
    if len(text) > MOST_BYTES:
        raise InvalidError(f"{name} is larger than {MOST_BYTES // 1024 // 1024} MiB")
    found: list[tuple[str, list[str]]] = []
    size = 0
    for number, line in enumerate(ENDS.split(text), start=1):
        if not line.strip():
            if found and not line:
                yield _object(found)
                found, size = [], 0
            elif found:
                found[-1][1].append("")
            continue
        if line[0] == "%" or (line[0] == "#" and not found):
            continue
        if "\0" in line:
            raise InvalidError(f"{name}, line {number}: a zero byte is not RPSL")
        size += len(line)
        if size > MOST_OBJECT_BYTES or len(found) >= MOST_ATTRIBUTES:
            raise InvalidError(f"{name}, line {number}: the object is larger than any that we read")
        _add(found, line, number, name)
    if found:
        yield _object(found)


def one(text: str, *, name: str = "the text") -> RpslObject:
    """The only object of `text`. Raises InvalidError when there is none, or more than one."""
    found = list(objects(text, name=name))
    if len(found) != 1:
        raise InvalidError(f"{name} has {len(found)} objects where one is expected")
    return found[0]


def written(each: RpslObject) -> str:
    """The object as text, ready to be submitted; ends with a newline."""
    lines = []
    for attribute in each.attributes:
        head, *rest = attribute.text.split("\n")
        lines.append(f"{attribute.name + ':':<{COLUMN}}{head}".rstrip())
        lines.extend(" " * COLUMN + line if line else "+" for line in rest)
    return "\n".join(lines) + "\n"


def _add(found: list[tuple[str, list[str]]], line: str, number: int, name: str) -> None:
    if line[0] in " \t+":
        if not found:
            raise InvalidError(f"{name}, line {number}: goes on with an attribute, and none was begun")
        found[-1][1].append(_tidy(line[1:] if line[0] == "+" else line))
        return
    if line[0] == "#":
        found[-1][1].append(_tidy(line))
        return
    head, colon, rest = line.partition(":")
    if not colon or not NAME.fullmatch(head.strip()):
        raise InvalidError(f"{name}, line {number}: {line[:60]!r} is not `attribute: value`")
    found.append((head.strip().lower(), [_tidy(rest)]))


def _object(found: list[tuple[str, list[str]]]) -> RpslObject:
    return RpslObject(tuple(Attribute(name, "\n".join(lines)) for name, lines in found))


def _tidy(line: str) -> str:
    return line.strip().replace("\0", "")
