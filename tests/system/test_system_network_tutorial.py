"""The tutorial of the network: each command of the page prints what the page says.

On the page `…` stands for anything, and a count of packets, a gap or a duration for another of its kind; `0 lost` is 0.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from havre.network.lab.build import missing
from tests.decide.network_rig import EXAMPLE, ROOT
from tests.driver.registry_rig import server
from tests.system.rig import HAVRE, Installation, installation

PAGE = ROOT / "docs" / "tutorial" / "own-network.md"
LACKS = missing()
COUNTED = re.compile(r"(  IPv[46] (?:in|out)) +(\d+) lost of \d+.*")
OLD_ONLY = """\
route: 198.51.100.0/24
origin: AS64500
source: RIPE

route6: 2001:db8:100::/48
origin: AS64500
source: RIPE
"""


@dataclass(frozen=True)
class Shown:
    """A command of the page and what it prints there."""

    command: str
    output: str

    def pattern(self) -> re.Pattern[str]:
        lines = []
        for line in self.output.splitlines():
            if line.strip() == "…":
                lines.append(r"(?:.*\n)*?")
                continue
            if counted := COUNTED.fullmatch(line):  # these are never the same
                lost = "0" if counted[2] == "0" else r"\d+"
                lines.append(rf"{re.escape(counted[1])} +{lost} lost of \d+(?:, longest gap \d+ ms)?\n")
                continue
            text = re.escape(line).replace("…", ".*")
            text = re.sub(r"\d+(?=\\ s\\\):)", r"\\d+", text)
            lines.append(text + "\n")
        return re.compile("".join(lines))


def shown() -> Iterator[Shown]:
    for block in re.findall(r"^```\n(\$ havre .*?)^```$", PAGE.read_text(), re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield Shown(command, output)


EVERY = list(shown())


def of(words: str) -> list[Shown]:
    return [each for each in EVERY if each.command.startswith(f"havre network {words}")]


def run(each: Shown, cwd: Path) -> str:
    """What the command prints; what a pager would show is the same."""
    argv = [HAVRE, *each.command.split()[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd, timeout=280)
    return done.stdout + done.stderr


def agree(each: Shown, printed: str) -> None:
    assert each.pattern().search(printed), f"{each.command} prints\n{printed}\nand the page says\n{each.output}"


def place(base: Path, *, registry: str = "") -> Path:
    """The example where the page has it, and a tree with the mistakes of the page."""
    (base / "examples" / "network").mkdir(parents=True)
    content = EXAMPLE.read_text()
    servers = f"  servers: {{ RIPE: '{registry}' }}\n" if registry else ""
    (base / "examples" / "network" / "intent.yaml").write_text(content.replace("registry:\n", f"registry:\n{servers}"))
    at = content.index("  t1:\n")
    wrong = content[:at] + content[at:].replace("kind: transit\n", "kind: transitt\n", 1)
    (base / "mine.yaml").write_text(wrong.replace("neighbor: 10.0.4.2 }", "neighbor: 10.0.4 }"))
    return base


def test_every_command_of_the_page_is_tried_here() -> None:
    tried = [*of("plan"), *of("migrate"), *of("lab")]
    assert len(EVERY) >= 6 and [each.command for each in EVERY if each not in tried] == []


def test_a_page_that_says_something_else_is_found() -> None:
    said = Shown("x", "  IPv4 in       0 lost of 8430\n  …\n  as expected\n").pattern()
    assert said.search("  IPv4 in       0 lost of 77\n  IPv4 out  0 lost of 1\n  as expected\n")
    assert not said.search("  IPv4 in       3 lost of 8430\n  as expected\n")
    assert not said.search("  IPv4 in       0 lost of 8430\n  NOT as expected\n")


@pytest.mark.parametrize("each", of("plan"), ids=lambda each: each.command)
def test_what_plan_says(each: Shown, tmp_path: Path) -> None:
    agree(each, run(each, place(tmp_path)))


def test_what_a_migration_says_that_the_registries_do_not_know_of(tmp_path: Path) -> None:
    file = tmp_path / "ripe.rpsl"
    file.write_text(OLD_ONLY)
    with server("irr", file) as port, installation() as havre:
        assert isinstance(havre, Installation)
        place(havre.base, registry=f"irrd://127.0.0.1:{port}")
        havre.up()
        for each in of("migrate"):
            agree(each, run(each, havre.base))


@pytest.mark.soak
@pytest.mark.skipif(bool(LACKS), reason=f"the lab lacks {', '.join(LACKS)}")
@pytest.mark.parametrize("each", of("lab"), ids=lambda each: each.command)
def test_what_the_lab_says(each: Shown) -> None:
    agree(each, run(each, ROOT))
