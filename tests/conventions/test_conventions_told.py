"""What the platform says of itself is told in French too: why a deployment failed or the scale changed, what troubles a
room, what stands in the audit. What programs say (the last line of a build) stays as it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from havre.notifications import model as notifications
from tests.conventions.sentences import WORDS, Sources, called, table

NAMES = ("causes", "deployments", "machine", "operations", "programs")
KIT = WORDS.parent / "kit" / "told.ts"
# Where what ends a deployment, an operation, a pass of a room or a delivery is raised.
SOURCES = Sources(
    """-drivers/bird -drivers/frr -drivers/irr -drivers/riperest -drivers/rtr -drivers/glass -drivers/netns apps/ drivers/ edge/
    notifications/ kernel/operations kernel/units kernel/housekeeping.py observe/ ssh/ network/work network/operations
    network/now network/evidence network/act network/controller network/changes network/room network/judge.py api/drains.py
    api/organisations.py"""
)
AT_A_START = re.compile(r"^the settings? |^build\.packages|^edge\.acme")  # at a terminal, before there is a page
# Functions whose words are shown, alone or within others'.
RETURNED = """drivers/bwrap/model.py:__str__ drivers/bwrap/quota.py:broken apps/health.py:failure apps/starting.py:out_of_memory
apps/strains.py:in_words apps/scaling.py:_too_much apps/load.py:_in_words apps/starts.py:_why kernel/operations/engine.py:_text_of"""
# Calls that are given a sentence, and where it stands among their arguments or what it is called.
GIVEN: dict[str, int | str] = {
    "Change": 1, "Verdict": 1, "progress": 0, "_deploy": 5, "_row": 5, "scale": "cause", "serve_again": "cause",
    "deploy_again": "cause", "_cancel_all": "why", "abandon": "why", "_write": "progress", "_end": "error", "change": "note",
    "Health": "error", "DrainCheck": "message",
}  # fmt: skip
# What `havre doctor` finds, and what follows from it.
MACHINE = Sources("kernel/doctor.py drivers/wayout/ drivers/cgroup/ drivers/toolchains/ drivers/debian/")
FOUND: dict[str, tuple[int | str, ...]] = {"Finding": (2, 3), "WayOut": (1,), "by_proxy": (0,), "replace": ("follows",)}
# Sentences that are put together from others, or that stand in variables.
PARTS = {
    ", its processors {} busy",
    "; flavor {} has room for more (clever scale --flavor {})",
    "2xx is expected",
    "; take flavor {} (clever scale --flavor {})",
    "API",
    "An invitation has been sent",
    "CLI",
    "GET {} answers {}",
    "Monitoring/Maintenance: {}",
    "Monitoring/Scaling: {}",
    "Monitoring/Strained: {}",
    "Monitoring/Timeout: {}",
    "Monitoring/Unreachable: {}",
    "The member has been added",
    "a part of the request flow",
    "build failed: ended without a status",
    "build failed: exit code {}",
    "build failed: killed by signal {}",
    "build failed: out of memory",
    "build failed: out of memory ({} MiB; clever scale --build-flavor {} gives more)",
    "build failed: the disk has less than {} MiB left",
    "build failed: the disk has less than {} files left",
    "build failed: took too long",
    "build failed: {} has more than {} MiB",
    "build failed: {} has more than {} files",
    "build failed: {}: folders are nested too deep",
    "by {}",
    "it could not be renewed",
    "it could not be renewed (last try: {})",
    "it said no more",
    "it was never started",
    "its agent is in no package index",
    "its middleware is in no package index",
    "migration {}: {}",
    "none",
    "not fetched yet",
    "not found",
    "nobody has said that the registries hold the new origin (confirm: registered)",
    "nobody looks from outside: name a looking glass in observers.looking_glasses",
    "nothing answers on port {}, {}",
    "nothing listens on port {}",
    "the SSH gateway cannot listen on {}:{}: {}",
    "the app must listen on 0.0.0.0:{}",
    "the app's own (PORT)",
    "the certificate authority {}",
    "the certificate of {} ends in {} days: {}",
    "the certificate of {} ends within a day: {}",
    "the certificate of {} has ended: {}",
    "the intent has no historical provider: there is nothing to migrate from",
    "the redirection of port {} cannot listen: {}",
    "upload a new one",
    "upload a new one (last try: {})",
    "{} does not answer",
    "{} visitors hold connections and ask for nothing, most of them from {}; each is cut after 30 s, over HTTP/2 after 5 minutes",
    "{} has more than {} MiB",
    "{} has more than {} files",
    "{} sees {} from AS{} still",
    "{}: folders are nested too deep",
}


def given(sources: Sources, calls: Mapping[str, tuple[int | str, ...]]) -> Iterator[str]:
    for file, tree in sources.trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            for at in calls.get(called(node), ()):
                positional = node.args[at : at + 1] if isinstance(at, int) else []
                named = [each.value for each in node.keywords if each.arg == at]
                for argument in [*positional, *named]:
                    yield from sources.texts(argument, file)


@cache
def said() -> frozenset[str]:
    """Every sentence; not those that only put others together."""
    raised = (text for file, _, argument in SOURCES.raised() for text in SOURCES.texts(argument, file))
    returned = (text for where in RETURNED.split() for text in SOURCES.returned(where))
    told_of = {at: (place,) for at, place in GIVEN.items()}
    found = {*raised, *returned, *given(SOURCES, told_of), *given(MACHINE, FOUND)}
    return frozenset(each for each in found if re.search("[a-z]", each) and not AT_A_START.match(each))


@cache
def tables() -> dict[str, dict[str, str]]:
    return {name: table(f"{name}.fr.ts", "sentences") for name in (*NAMES, "refusals")}


def told() -> dict[str, str]:
    return {text: french for name in NAMES for text, french in tables()[name].items()}


def test_no_french_line_begins_with_what_ends_a_sentence() -> None:
    """Before `:`, `;`, `?` and `!` stands a space at which no line is broken."""
    lines = [line for file in sorted(WORDS.glob("*fr.ts")) for line in file.read_text().splitlines()]
    said = [each for line in lines for each in re.findall(r"'(?:[^'\\]|\\.)*'|`[^`]*`", line) if "${" not in each]
    assert [each for each in said if re.search(r"\w [:;?!](\W|$)", each)] == []


def subjects() -> dict[str, set[str]]:
    """What pages tell of, and the tables that they fetch for it."""
    listed = KIT.read_text().split("const SUBJECTS = {")[1].split("}")[0]
    return {name: set(re.findall(r"'(\w+)'", line)) for name, line in re.findall(r"^  (\w+): \[(.*)\],$", listed, re.M)}


def test_every_sentence_that_the_platform_says_of_itself_has_a_french_one() -> None:
    missing = said() - set(told()) - set(tables()["refusals"])
    assert not missing, "\n".join(sorted(missing))


def test_no_sentence_is_told_that_is_gone() -> None:
    assert set(told()) - said() == PARTS


def test_no_sentence_stands_in_two_tables() -> None:
    found = [text for each in tables().values() for text in each]
    assert [text for text in found if found.count(text) > 1] == []


# What may end a deployment, and what may trouble what is sent: its page fetches no table but those of its subject.
ENDS = Sources(
    """-apps/intents.py -apps/checks.py -apps/linked.py -apps/views.py -apps/upgrades.py apps/ drivers/bwrap drivers/debian drivers/disk
    drivers/git/repository drivers/git/backend drivers/toolchains drivers/wayout
    -kernel/operations/engine.py kernel/operations kernel/units"""
)
SENT = Sources("drivers/outbound drivers/smtp notifications/ observe/drains/ api/drains.py api/organisations.py")
SCALED = Sources("apps/decide.py apps/load.py apps/scaling.py apps/intents.py apps/restored.py apps/starts.py")
CAUSES = {"Change": (1,), "scale": ("cause",), "serve_again": ("cause",), "deploy_again": ("cause",), "_deploy": (5,), "_row": (5,)}  # fmt: skip


@pytest.mark.parametrize(("subject", "sources"), [("deployment", ENDS), ("sending", SENT)])
def test_a_page_fetches_the_tables_that_its_subject_needs(subject: str, sources: Sources) -> None:
    needed = {text for file, _, argument in sources.raised() for text in sources.texts(argument, file)}
    needed |= {text for where in RETURNED.split() if subject == "deployment" for text in SOURCES.returned(where)}
    fetched = {text for name in subjects()[subject] for text in tables()[name]}
    assert sorted((needed & said()) - fetched) == []


def test_the_tables_of_causes_and_of_the_machine_are_whole() -> None:
    fetched = {subject: {text for name in names for text in tables()[name]} for subject, names in subjects().items()}
    assert sorted(set(given(SCALED, CAUSES)) & said() - fetched["cause"]) == []
    assert sorted(set(given(MACHINE, FOUND)) & said() - fetched["machine"]) == []
    assert fetched["cause"] <= fetched["deployment"] <= fetched["room"]


def test_a_french_sentence_names_what_the_english_one_names_and_is_another() -> None:
    for text, french in told().items():
        used = {int(each) for each in re.findall(r"\{=?(\d)\}", french)}
        assert used == set(range(1, text.count("{}") + 1)), f"{text}: {french}"
        assert french and (french != text or text in ("API", "Console", "Git", "migration {}: {}")), text


ACTIONS = Sources("api/ ssh/")


def actions() -> set[str]:
    """What is written to the audit of organisations and people, `{}` where a word of a few stands."""
    found = {
        text
        for file, tree in ACTIONS.trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "record" and len(node.args) > 2
        for text in ACTIONS.texts(node.args[2], file)
    }
    return {each for each in found | {"ssh.open"} if not each.startswith("network.")}


def test_every_action_of_the_audit_has_french_words() -> None:
    known = table("audit.fr.ts", "actions")
    patterns = [re.compile(re.escape(each).replace(r"\{\}", "[a-z]+")) for each in actions()]
    assert [each.pattern for each in patterns if not any(each.fullmatch(name) for name in known)] == []
    assert [name for name in known if not any(each.fullmatch(name) for each in patterns)] == []


def test_every_event_that_others_may_be_told_of_has_french_words() -> None:
    assert set(table("audit.fr.ts", "events")) == {*notifications.EVENTS, *notifications.META}
