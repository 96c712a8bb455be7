"""The repository about itself."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "havre"
ROOMS = [each for each in ("apps", "edge", "governance", "kernel", "network", "notifications", "observe", "ssh")]
SECTIONS = ("Name", "Description", "Settings", "Events", "Metrics", "Failures", "Runbook")
MOST_LINES = 400
LONGER = {
    "console/src/words/en.ts": "all words of one language, so that another one is one file beside it",
    "console/src/words/fr.ts": "all words of one language, so that another one is one file beside it",
    "src/havre/drivers/bwrap/forwarder.py": "one loop over pairs of sockets that share every count and bound",
}
BANNED_NAMES = {"utils", "helpers", "common", "manager", "service", "data", "info"}


def sources() -> list[Path]:
    return sorted(each for each in SOURCE.rglob("*.py") if "node_modules" not in each.parts)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_page(room: str) -> None:
    page = (SOURCE / room / "README.md").read_text()
    missing = [section for section in SECTIONS if not re.search(rf"(\*\*{section}\.\*\*|^#+ {section})", page, re.M)]
    assert missing == [], f"{room}/README.md has no {missing}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert path.stem not in BANNED_NAMES and path.parent.name not in BANNED_NAMES, "a name that says nothing"


def test_a_file_is_small_unless_it_is_said_why_it_is_not() -> None:
    kinds = ("*.py", "*.ts", "*.js", "*.css", "*.html")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *kinds],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in listed if (ROOT / name).is_file()}
    assert len(lines) > 500, "the list of files is one"
    long = {name: count for name, count in lines.items() if count > MOST_LINES}
    assert set(long) == set(LONGER), f"past {MOST_LINES} lines: cut it by noun, or say why not: {long}"


def test_events_and_metrics_are_listed_in_their_rooms_page() -> None:
    missing = []
    for room in ROOMS:
        page = (SOURCE / room / "README.md").read_text()
        code = "\n".join(each.read_text() for each in (SOURCE / room).rglob("*.py"))
        emitted = set(re.findall(r'\.emit\(\s*"([a-z_.]+)"', code))
        metrics = set(re.findall(r'"(havre_[a-z_]+)"', code))
        missing += [f"{room}: {name}" for name in sorted(emitted | metrics) if name not in page]
    assert missing == []


def test_log_events_are_named_room_noun_verb() -> None:
    bad = []
    for path in sources():
        for name in re.findall(r'\blog\.(?:debug|info|warning|error)\(\s*f?"([^"]+)"', path.read_text()):
            if not re.fullmatch(r"[a-z_]+(\.[a-z_]+){2}", name):
                bad.append(f"{path.relative_to(SOURCE)}: {name}")
    assert bad == []


def test_every_noun_of_the_tables_is_in_the_lexicon() -> None:
    lexicon = (ROOT / "docs" / "lexicon.md").read_text().lower()
    nouns = ("app", "instance", "deployment", "release", "unit", "monitor", "forwarder", "vhost", "generation")
    nouns += ("operation", "step", "reconciler", "flavor", "owner", "drain", "moment", "point of no return", "trial")
    assert [noun for noun in nouns if f"**{noun}**" not in lexicon] == []


def test_no_shell_strings() -> None:
    bad = [str(path) for path in sources() if "shell=True" in path.read_text() or "os.system(" in path.read_text()]
    assert bad == []


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(each.name[:4]) for each in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_annotated_settings_file_names_every_setting() -> None:
    from havre.kernel import config

    example = ROOT / "packaging" / "havre.toml"
    loaded = config.load(example)
    assert isinstance(loaded, config.Config)
    text = example.read_text()
    tree = tomllib.loads(re.sub(r"^# ?(?=[a-z_]+ = |\[)", "", text, flags=re.M))
    for table, kind in (
        ("edge", config.EdgeConfig),
        ("apps", config.AppsConfig),
        ("logs", config.LogsConfig),
        ("stacks", config.StacksConfig),
    ):
        assert set(tree[table]) == set(kind.__dataclass_fields__), table


def test_nothing_tracked_names_a_path_of_a_workplace() -> None:
    found = subprocess.run(
        ["git", "grep", "-nIE", r"(^|[^a-z])/(farm|tmp/bash_jobs)/"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    hits = [line for line in found.splitlines() if "tests/conventions" not in line]
    assert hits == []
