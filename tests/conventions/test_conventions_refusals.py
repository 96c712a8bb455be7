"""What the API refuses with is told in French too: every sentence and every code that a request may be answered with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from havre.api import errors
from tests.conventions.sentences import CLASSES, Sources, called, table

# Where a request of the console may be refused; what other rooms raise ends a deployment or a start, with its own words.
SOURCES = Sources(
    """api/ governance/ edge/__init__.py edge/intents.py edge/model.py edge/proof.py edge/certificates/ drivers/x509/
apps/intents.py apps/checks.py apps/linked.py apps/views.py apps/upgrades.py notifications/intents.py notifications/decide.py observe/__init__.py
observe/model.py observe/drains/intents.py observe/embedded.py base/names.py base/flavors.py kernel/store.py kernel/operations/engine.py"""
)
KINDS, SENTENCES = table("refusals.fr.ts", "kinds"), table("refusals.fr.ts", "sentences")
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
    "this machine has no {}; install it, or apt-get and dpkg-deb, with which Havre fetches {} by itself",
)  # fmt: skip
# Functions that are given a part of a sentence, and where it stands among their arguments.
MAKERS = {"edge/model.py": ("_invalid", 1)}


def raised() -> Iterator[tuple[str, ast.Call, ast.expr]]:
    yield from SOURCES.raised()
    for name, tree in SOURCES.trees.items():
        maker, at = MAKERS.get(name, ("none of them", 0))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and called(node) == maker:
                yield name, node, node.args[at]


def said() -> dict[str, str]:
    """Every sentence, and where it is raised."""
    found: dict[str, str] = {}
    for name, _, argument in raised():
        known = SOURCES.texts(argument, name)
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
                found |= set(SOURCES.texts(each.value, file))
    return found


def test_every_sentence_that_the_api_refuses_with_has_a_french_one() -> None:
    missing = {text: where for text, where in said().items() if text not in SENTENCES}
    assert not missing, "\n".join(f"{where}: {text}" for text, where in missing.items())


def test_every_code_of_an_answer_has_a_french_sentence() -> None:
    assert codes() - set(KINDS) == set()


@pytest.mark.parametrize("part", [0, 1], ids=["kinds", "sentences"])
def test_a_french_sentence_names_what_the_english_one_names_and_is_another(part: int) -> None:
    for text, french in (KINDS, SENTENCES)[part].items():
        given, used = text.count("{}"), {int(each) for each in re.findall(r"\{(\d)\}", french)}
        assert used == set(range(1, given + 1)), f"{text}: {french}"
        assert french and (french != text or text in ("attempts", "invitations")), text


def test_the_table_says_nothing_of_sentences_that_are_gone() -> None:
    assert set(SENTENCES) - set(said()) == set(PARTS)
