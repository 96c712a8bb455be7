"""What the API refuses with is told in French too: every sentence and every code that a request may be answered with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from havre.api import errors
from havre.base import errors as classes

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "havre"
TABLE = ROOT / "console" / "src" / "words" / "refusals.fr.ts"
CLASSES = {each.__name__ for each in classes.HavreError.__subclasses__() if each.__module__ == classes.__name__}
# Where a request of the console may be refused; what other rooms raise ends a deployment or a start, with its own words.
ASKED = """api/ governance/ edge/__init__.py edge/intents.py edge/model.py edge/proof.py edge/certificates/ apps/intents.py
apps/linked.py apps/views.py apps/upgrades.py notifications/intents.py notifications/decide.py observe/__init__.py
observe/model.py observe/drains/intents.py observe/embedded.py base/names.py base/flavors.py kernel/store.py kernel/operations/engine.py"""
AT_A_START = re.compile(
    r"^the (setting|steps of|data of room) "
)  # for the operator at a terminal, before there is a page
PASSED_ON = {"cause.message", "error.message", "f'{taken.message}; {asked.how}'"}
# What sentences name, or end with, and what the framework says.
PARTS = (
    "attempts", "letters", "invitations", "pushes to this application", "an application", "an organisation",
    "Domain {} is already taken by another application; {}", "Method Not Allowed", "Not Found",
    "to prove that it is yours, set a TXT record {} with the text {} and try again",
    "an internal error happened; it was logged",
)  # fmt: skip
# Functions that are given a part of a sentence, and where it stands among their arguments.
MAKERS = {"edge/model.py": ("_invalid", 1)}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(tuple(ASKED.split())):
            yield name, ast.parse(path.read_text())


@cache
def assigned() -> dict[tuple[str, str], list[ast.expr]]:
    """What names are given, by file: a sentence may be in a constant or a variable."""
    found: dict[tuple[str, str], list[ast.expr]] = {}
    for file, tree in trees():
        for node in ast.walk(tree):
            pairs: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
                if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(node.targets[0].elts, node.value.elts, strict=True))
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    found.setdefault((file, target.id), []).append(value)
    return found


def texts(node: ast.expr, file: str, depth: int = 0) -> list[str]:
    """The sentences that an expression may be, `{}` where it names something; none when nothing is known of it."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)]
    if isinstance(node, ast.IfExp):
        return texts(node.body, file, depth) + texts(node.orelse, file, depth)
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    found = {where: values for (where, known), values in assigned().items() if known == name}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        values = [each for where in found for each in found[where] if Path(where).stem == node.value.id]
    else:
        values = found.get(file) or [each for where in found for each in found[where]]
    return [text for value in values for text in texts(value, file, depth + 1)] if depth < 4 else []


def raised() -> Iterator[tuple[str, ast.Call, ast.expr]]:
    for name, tree in trees():
        maker, at = MAKERS.get(name, ("none of them", 0))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in CLASSES and node.args:
                yield name, node, node.args[0]
            elif called == maker:
                yield name, node, node.args[at]


def said() -> dict[str, str]:
    """Every sentence, and where it is raised."""
    found: dict[str, str] = {}
    for name, _, argument in raised():
        known = texts(argument, name)
        assert known or ast.unparse(argument) in PASSED_ON, f"{name}: what does {ast.unparse(argument)} say?"
        if ast.unparse(argument) not in PASSED_ON:
            found |= {each: name for each in known if not AT_A_START.match(each)}
    return found


def codes() -> set[str]:
    """The numbers and codes of answers."""
    found = {str(id) for _, id in errors.TABLE.values()} | {str(errors.NO_FAVOURITE), "2001", "4040"}
    found |= {f"havre.{each}" for each in CLASSES}
    for file, call, _ in raised():
        for each in call.keywords:
            if each.arg in ("id", "code"):
                found |= set(texts(each.value, file))
    return found


@cache
def table() -> tuple[dict[str, str], dict[str, str]]:
    """`kinds` and `sentences` as the console has them."""
    kinds, sentences = TABLE.read_text().split("export const sentences")
    quoted = r"(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")"
    entry = re.compile(rf"^  (?:{quoted}|([a-z]+)):\s+{quoted},$", re.MULTILINE)

    def entries(text: str) -> dict[str, str]:
        return {a or b or c: (d or e).replace("\\'", "'") for a, b, c, d, e in entry.findall(text)}

    return entries(kinds), entries(sentences)


def test_every_sentence_that_the_api_refuses_with_has_a_french_one() -> None:
    missing = {text: where for text, where in said().items() if text not in table()[1]}
    assert not missing, "\n".join(f"{where}: {text}" for text, where in missing.items())


def test_every_code_of_an_answer_has_a_french_sentence() -> None:
    assert codes() - set(table()[0]) == set()


@pytest.mark.parametrize("part", [0, 1], ids=["kinds", "sentences"])
def test_a_french_sentence_names_what_the_english_one_names_and_is_another(part: int) -> None:
    for text, french in table()[part].items():
        given, used = text.count("{}"), {int(each) for each in re.findall(r"\{(\d)\}", french)}
        assert used == set(range(1, given + 1)), f"{text}: {french}"
        assert french and (french != text or text in ("attempts", "invitations")), text


def test_the_table_says_nothing_of_sentences_that_are_gone() -> None:
    assert set(table()[1]) - set(said()) == set(PARTS)
