"""The route-maps that are generated for FRR, tried in FRR's own bgpd."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import anyio
import pytest

from havre.base.errors import InvalidError
from havre.drivers import bird
from havre.kernel.clock import SystemClock
from havre.network import decide, engines, model, preflight
from havre.network.preflight import Result, frrtrial, trial
from tests.room.test_room_network_preflight import LISTS, wanted

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not frrtrial.BGPD.exists() or not any(shutil.which(each) for each in bird.PROGRAMS),
    reason="needs root, frr and bird2",
)


def tree(*, bogons: bool = False) -> model.Intent:
    found = wanted()
    edges = tuple(replace(each, engine="frr") for each in found.edges)
    return replace(found, edges=edges, policies=replace(found.policies, bogons=bogons))


def generated(found: model.Intent) -> tuple[str, tuple[trial.Put, ...]]:
    posture = decide.settled(found)
    text = engines.render(found, found.edge("par1"), posture, LISTS)
    return text, trial.cases(found, found.edge("par1"), up=[each.name for each in found.upstreams], lists=LISTS)


def tried(text: str, puts: tuple[trial.Put, ...]) -> tuple[preflight.Case, ...]:
    async def call() -> tuple[preflight.Case, ...]:
        return await frrtrial.try_filters(text, puts, clock=SystemClock())

    return anyio.run(call)


def test_frr_itself_judges_every_route_as_it_should_be_with_the_generated_maps() -> None:
    found = tree()
    text, puts = generated(found)
    cases = tried(text, puts)
    assert len(cases) >= 40 and {each.filter for each in cases} == {each.filter for each in puts}
    assert [each for each in cases if each.is_taken != each.is_wanted] == []
    report = preflight.run(found, preflight.Evidence(cases=cases), only=["filters-proven"])
    assert {each.result for each in report} == {Result.OK}


WRONG = [
    ("route-map in_t1_ipv4 deny 10\n match ip address prefix-list OWN_PARTS4\n", "our own prefix 198.51.100.0/24 passes",
     "route-map in_t1_ipv4 deny 10\n match ip address prefix-list LENGTHS6\n"),
    (" match ipv6 address prefix-list OWN6\n", "a route of somebody else 2a00:1::/32 passes", ""),
    ("route-map out_hp_ipv4 permit 10\n", "our own prefix 198.51.100.0/24 does not pass", "route-map out_hp_ipv4 deny 10\n"),
]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize(("line", "said", "instead"), WRONG, ids=[row[1] for row in WRONG])
def test_a_generated_map_that_is_wrong_is_found_out(line: str, said: str, instead: str) -> None:
    found = tree()
    text, puts = generated(found)
    assert line in text
    cases = tried(text.replace(line, instead), puts)
    report = preflight.run(found, preflight.Evidence(cases=cases), only=["filters-proven"])
    assert any(said in each.evidence for each in report.of(Result.STOP)), str(report)


def test_maps_that_frr_cannot_read_are_an_error_of_theirs() -> None:
    text, puts = generated(tree())
    with pytest.raises(InvalidError, match="FRR refuses"):
        tried(text.replace(" set local-preference ", " set local-preferences "), puts)
    with pytest.raises(InvalidError, match="has no session"):
        tried("router bgp 64510\n", puts)
