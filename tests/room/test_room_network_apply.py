"""Versions of configurations, and that the command line's plan says what apply would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from havre import network
from havre.base.errors import InvalidError, NotFoundError
from havre.kernel.clock import SystemClock
from havre.network.act import Edges, Historical, request
from tests.decide.network_rig import example, parsed

pytestmark = pytest.mark.anyio


def edges(folder: Path) -> Edges:
    return Edges(parsed(tree(folder)), folder / "state", SystemClock())


def tree(folder: Path) -> str:
    content = example()
    for edge in ("par1", "lyo1", "lil1"):
        own = f"        socket: {folder}/{edge}.ctl\n        config: {folder}/{edge}.conf\n"
        content = content.replace(f"      {edge}:\n", f"      {edge}:\n{own}")
    return content


async def test_a_version_keeps_what_each_edge_had(tmp_path: Path) -> None:
    made = edges(tmp_path)
    assert made.keep({"par1": "one\n", "lyo1": "two\n"}, words="first") == 1
    assert made.keep({"par1": "three\n"}, words="second") == 2
    assert made.versions() == {1: "first", 2: "second"}
    assert made.version(2) == {"par1": "three\n", "lyo1": "two\n"}
    with pytest.raises(NotFoundError, match="there is 1, 2"):
        made.version(3)


async def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "intent.yaml"
    file.write_text(tree(tmp_path))
    made = await network.plan_now(file, tmp_path / "state", stage="", clock=SystemClock())
    assert set(made.differences) == {"par1", "lyo1", "lil1"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["intent.yaml"]


async def test_a_plan_of_a_wrong_file_names_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(tree(tmp_path).replace("asn: 64510", "asn: ten"))
    with pytest.raises(InvalidError, match=r"mine\.yaml:4: asn: 'ten' is not"):
        await network.plan_now(file, tmp_path / "state", stage="", clock=SystemClock())


async def test_a_provider_that_is_not_ours_to_configure_is_asked_in_words_and_in_its_daemons_language(
    tmp_path: Path,
) -> None:
    intent = parsed(example())
    hp = Historical(intent, tmp_path, SystemClock())
    assert not hp.is_managed
    said = await hp.bring_to(2)
    text = (tmp_path / "requests" / "phase-2.md").read_text()
    assert "asked to prefer our BGP route, keep the static" in said
    assert text == request(intent, 2)
    assert "preference 50" in text and "198.51.100.0/24" in text and "2001:db8:100::/48" in text
    assert "preference 200" in request(intent, 0)
    assert "protocol static" not in request(intent, 3)
