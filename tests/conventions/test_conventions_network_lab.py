"""The page of the lab names every act, every setting of the world and every scenario of ours."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from havre.network import lab
from havre.network.lab.scenario import ACTS
from havre.network.lab.world import Knobs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "network-lab.md"


def test_the_page_names_everything() -> None:
    text = PAGE.read_text()
    names = [*ACTS, *(each.name for each in dataclasses.fields(Knobs)), *(each.name for each in lab.standard())]
    assert [each for each in names if f"| `{each}` |" not in text] == []


def test_no_two_scenarios_have_one_name_and_each_says_what_it_is() -> None:
    every = lab.standard()
    assert len({each.name for each in every}) == len(every)
    assert [each.name for each in every if not each.what or not each.acts] == []


def test_every_measurement_of_the_beginning_is_a_scenario_and_every_scenario_but_ours_is_of_one() -> None:
    """Both families run in every scenario: see test_system_network_lab.py. 8 rows are of migrations, 21 of failures."""
    table = PAGE.read_text().partition("## What was measured first")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    names = {each.name for each in lab.standard()}
    assert len(rows) == 29
    assert [what for what, played in rows if not re.findall(r"`([^`]+)`", played)] == []
    played = {name for _, cell in rows for name in re.findall(r"`([^`]+)`", cell)}
    assert played - names == set()
    beyond = {"wrong-no-irr-object", "wrong-no-roa", "wrong-one-transit-filtered", "wrong-bfd-forgotten"}
    assert names - played == beyond  # what preflight and probes see before any packet is lost
