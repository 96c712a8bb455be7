"""Reads a YAML file as nodes that know their line, and gathers every mistake before it says any.

A file of people has several mistakes at once as a rule; telling the first alone makes them come back for each.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import yaml

from havre.base.errors import InvalidError

T = TypeVar("T")
SHOWN = 20  # mistakes that are told at once


@dataclass(frozen=True, slots=True)
class Node:
    """One place of the file. `path` is how a person finds it: `upstreams.t1.asn`."""

    raw: yaml.Node
    path: str

    @property
    def line(self) -> int:
        return int(self.raw.start_mark.line) + 1

    @property
    def text(self) -> str:
        return str(self.raw.value) if isinstance(self.raw, yaml.ScalarNode) else ""


@dataclass
class Reader:
    """Reads the parts of one file. Whatever is wrong is remembered with its line; `finish` raises all of it."""

    file: str
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def root(self, content: str) -> Node | None:
        """The file's node; None for one that is not YAML, whose mistake is kept like any other."""
        try:
            raw = yaml.compose(content, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as cause:
            mark = cause.problem_mark or cause.context_mark
            said = " ".join(each for each in (cause.context, cause.problem) if each)
            self.mistakes.append((mark.line + 1 if mark else 1, f"this is not YAML: {said}"))
            return None
        except yaml.reader.ReaderError as cause:
            line = content.count("\n", 0, cause.position) + 1
            self.mistakes.append((line, f"a character has no place in YAML: U+{ord(content[cause.position]):04X}"))
            return None
        except RecursionError:
            self.mistakes.append((1, "lists or mappings lie too deep in each other"))
            return None
        if raw is None:
            self.mistakes.append((1, "the file is empty"))
            return None
        return Node(raw, "")

    def wrong(self, node: Node, text: str) -> None:
        self.mistakes.append((node.line, f"{node.path}: {text}" if node.path else text))

    def finish(self) -> None:
        """Raises InvalidError with every mistake, in the order of the lines."""
        if not self.mistakes:
            return
        told = [f"{self.file}:{line}: {text}" for line, text in sorted(set(self.mistakes))]
        more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
        raise InvalidError("\n".join([*told[:SHOWN], *more]), file=self.file, mistakes=len(told))

    # shapes

    def items(self, node: Node) -> list[tuple[Node, Node]]:
        """The keys and values of a mapping, in the file's order."""
        if not isinstance(node.raw, yaml.MappingNode):
            self.wrong(node, "this has to be a mapping (name: value)")
            return []
        found: list[tuple[Node, Node]] = []
        for key, value in node.raw.value:
            name = str(key.value)
            place = Node(key, f"{node.path}.{name}" if node.path else name)
            if any(each.text == name for each, _ in found):
                self.wrong(place, "this name stands twice")
                continue
            found.append((place, Node(value, place.path)))
        return found

    def fields(self, node: Node, known: Collection[str], *, required: Iterable[str] = ()) -> dict[str, Node]:
        """The values of a mapping whose keys are known."""
        found = {}
        for key, value in self.items(node):
            if key.text in known:
                found[key.text] = value
            else:
                self.wrong(key, f"there is no such setting{nearest(key.text, known)}")
        if isinstance(node.raw, yaml.MappingNode):
            for name in required:
                if name not in found:
                    self.wrong(node, f"{name!r} is missing")
        return found

    def entries(self, node: Node) -> list[Node]:
        """The parts of a list."""
        if not isinstance(node.raw, yaml.SequenceNode):
            self.wrong(node, "this has to be a list (lines that begin with - , or [a, b])")
            return []
        return [Node(each, f"{node.path}[{number}]") for number, each in enumerate(node.raw.value)]

    def value(self, node: Node, parse: Callable[[str], T], fallback: T) -> T:
        """A scalar through `parse`, whose InvalidError becomes a mistake of this place."""
        if not isinstance(node.raw, yaml.ScalarNode):
            self.wrong(node, "this has to be one value")
            return fallback
        try:
            return parse(node.text)
        except InvalidError as error:
            self.wrong(node, error.message)
            return fallback

    def text(self, node: Node) -> str:
        return self.value(node, str, "")

    def number(self, node: Node, *, low: float, high: float) -> int:
        return int(self.quantity(node, low=low, high=high, whole=True))

    def quantity(self, node: Node, *, low: float, high: float, whole: bool = False) -> float:
        def parse(text: str) -> float:
            try:
                value = int(text.replace("_", "")) if whole else float(text)
            except ValueError:
                raise InvalidError(f"{text!r} is not a {'whole ' if whole else ''}number") from None
            if not low <= value <= high:
                raise InvalidError(f"{text} is not between {low:g} and {high:g}")
            return value

        return self.value(node, parse, low)

    def flag(self, node: Node) -> bool:
        return self.choice(node, {"true": True, "yes": True, "false": False, "no": False}, False)

    def choice(self, node: Node, choices: dict[str, T], fallback: T) -> T:
        def parse(text: str) -> T:
            if text not in choices:
                raise InvalidError(f"{text!r} is not one of {', '.join(choices)}{nearest(text, choices)}")
            return choices[text]

        return self.value(node, parse, fallback)


def nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; do you mean {near[0]!r}?" if near else f" (there is: {', '.join(known)})"
