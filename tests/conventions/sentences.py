"""The sentences in the code, for the tests that hold the console's French to them: `{}` where one names something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from havre.base import errors as classes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "havre"
WORDS = ROOT / "console" / "src" / "words"
CLASSES = {each.__name__ for each in classes.HavreError.__subclasses__() if each.__module__ == classes.__name__}
DEPTH = 4


def table(file: str, name: str) -> dict[str, str]:
    """The table `name` of a file of words, as the console has it."""
    text = (WORDS / file).read_text().split(f"export const {name}:")[1].split("\n};")[0]
    quoted = r"(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")"
    entry = re.compile(rf"^  (?:{quoted}|([A-Za-z_]+)):\s+{quoted},$", re.MULTILINE)
    found = {a or b or c: d or e for a, b, c, d, e in entry.findall(text)}
    return {_plain(said): _plain(french) for said, french in found.items()}


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


class Sources:
    """Some of the files below src/havre; files: the beginnings of their names. The first of two that fit decides
    whether it is meant: one with a `-` before it is not."""

    def __init__(self, files: str) -> None:
        self._files = files.split()

    def _is_meant(self, name: str) -> bool:
        fits = next((each for each in self._files if name.startswith(each.lstrip("-"))), "-")
        return not fits.startswith("-")

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        names = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
        return {name: ast.parse(path.read_text()) for name, path in names.items() if self._is_meant(name)}

    @cached_property
    def _known(self) -> dict[str, dict[str, list[ast.expr]]]:
        """What names are given and functions return, by name and file."""
        found: dict[str, dict[str, list[ast.expr]]] = {}
        for file, tree in self.trees.items():
            for node in ast.walk(tree):
                for name, value in _given(node):
                    found.setdefault(name, {}).setdefault(file, []).append(value)
        return found

    def texts(self, node: ast.expr, file: str, depth: int = 0) -> list[str]:
        """The sentences that an expression may be; none when nothing is known of it."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            return ["".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)]
        if isinstance(node, ast.IfExp):
            return self.texts(node.body, file, depth) + self.texts(node.orelse, file, depth)
        if isinstance(node, ast.BinOp):
            left, right = (self.texts(each, file, depth) or ["{}"] for each in (node.left, node.right))
            return [one + other for one in left for other in right]
        if isinstance(node, ast.Call):
            node = node.func
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        found = self._known.get(name, {})
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            values = [each for where in found for each in found[where] if Path(where).stem == node.value.id]
        else:
            values = found.get(file) or [each for where in found for each in found[where]]
        return [text for value in values for text in self.texts(value, file, depth + 1)] if depth < DEPTH else []

    def raised(self) -> Iterator[tuple[str, ast.Call, ast.expr]]:
        """Each error of ours that is made, with its sentence."""
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and node.args and called(node) in CLASSES:
                    yield name, node, node.args[0]

    def returned(self, where: str) -> list[str]:
        """What a function returns; where: `file:name`."""
        file, _, name = where.partition(":")
        return [text for value in self._known[name][file] for text in self.texts(value, file) if text]


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
        if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
        yield from ((target.id, value) for target, value in pairs if isinstance(target, ast.Name))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for each in ast.walk(node):
            if isinstance(each, ast.Return) and each.value is not None:
                parts = each.value.elts[:1] if isinstance(each.value, ast.Tuple) else [each.value]
                yield from ((node.name, part) for part in parts)
