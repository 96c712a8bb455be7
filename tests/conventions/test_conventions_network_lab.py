"""The page of the lab names every act, every setting of the world and every scenario of ours."""

from __future__ import annotations

import dataclasses
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
