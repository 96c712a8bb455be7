"""Preflight against the world: registries that answer or do not, and filters tried in BIRD itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from havre.base.errors import InvalidError
from havre.drivers import bird
from havre.kernel.clock import SystemClock
from havre.network import decide, engines, model, preflight
from havre.network import intent as reading
from havre.network.preflight import Result, look, trial
from havre.network.registries import filters, vrps
from tests.driver.registry_rig import server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "network" / "intent.yaml"
RIPE = """
route: 198.51.100.0/24
origin: AS64500
source: RIPE

route: 198.51.100.0/24
origin: AS64510
source: RIPE

route6: 2001:db8:100::/48
origin: AS64500
source: RIPE

as-set: AS64510:AS-LAB
members: AS64510
source: RIPE

aut-num: AS64510
as-name: LAB
import: from AS64500 accept ANY
export: to AS64500 announce AS64510:AS-LAB
source: RIPE

as-set: AS-PEER
members: AS64520
source: RIPE

route: 9.9.8.0/23
origin: AS64520
source: RIPE

route6: 2a00:8::/32
origin: AS64520
source: RIPE
"""
PEER = model.Upstream(
    "peer",
    model.UpstreamKind.PEER,
    model.parse_asn(64520),
    "par1",
    (
        model.Link(model.parse_address("10.0.9.1"), model.parse_address("10.0.9.2")),
        model.Link(model.parse_address("fd00:9::1"), model.parse_address("fd00:9::2")),
    ),
    filters=model.FilterSource("AS-PEER"),
)
ROUTER = replace(PEER, name="ixp", kind=model.UpstreamKind.IXP, asn=model.parse_asn(64530))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    file = tmp_path_factory.mktemp("registry") / "ripe.rpsl"
    file.write_text(RIPE)
    with server("irr", file) as port:
        yield port


def wanted() -> model.Intent:
    found = reading.load(EXAMPLE)
    return replace(found, upstreams=(*found.upstreams, PEER, ROUTER))


@pytest.mark.parametrize("protocol", ["irrd", "whois"])
def test_what_registries_say_becomes_findings(port: int, protocol: str) -> None:
    registries = look.directory({"RIPE": f"{protocol}://127.0.0.1:{port}"})
    seen = anyio.run(look.look, wanted(), registries)
    assert seen.troubles == ()
    report = preflight.run(
        wanted(), seen, only=["route-object", "both-origins", "as-set-member", "as-set-acyclic", "aut-num"]
    )
    found = {(each.check, each.subject): each.result for each in report}
    assert found["route-object", "198.51.100.0/24 AS64510 in RIPE"] is Result.OK
    assert found["route-object", "2001:db8:100::/48 AS64510 in RIPE"] is Result.STOP
    assert found["both-origins", "198.51.100.0/24 AS64500 + AS64510 in RIPE"] is Result.OK
    assert found["as-set-member", "AS64510:AS-LAB"] is Result.OK
    assert found["aut-num", "AS64510 to t1 (AS64501)"] is Result.STOP


def test_a_registry_that_does_not_answer_is_unknown_and_said() -> None:
    async def call() -> preflight.Evidence:
        return await look.look(wanted(), look.directory({"RIPE": "irrd://127.0.0.1:1"}), table=vrps.Vrps())

    seen = anyio.run(call)
    assert any("did not answer" in each for each in seen.troubles)
    report = preflight.run(wanted(), seen, only=["route-object", "as-set-member", "aut-num"])
    assert {each.result for each in report} == {Result.UNKNOWN}
    nobody = anyio.run(look.look, wanted(), {})
    assert "no registry is configured for the source RIPE" in nobody.troubles


@pytest.mark.parametrize("address", ["http://x:1", "irrd://", "irrd://x:99999", "irrd://x/y", "127.0.0.1:43"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidError):
        look.directory({"RIPE": address})


def test_the_filters_of_peers_are_made_of_what_their_sets_lead_to(port: int, tmp_path: Path) -> None:
    async def call(address: str) -> tuple[dict[tuple[str, model.Family], tuple[str, ...]], tuple[str, ...]]:
        registries = look.directory({"RIPE": address})
        return await look.filter_lists(wanted(), registries, cache=filters.Cache(tmp_path), clock=SystemClock())

    lists, troubles = anyio.run(call, f"irrd://127.0.0.1:{port}")
    assert troubles == () and lists["peer", 4] == ("9.9.8.0/23",) and lists["ixp", 6] == ("2a00:8::/32",)
    lists, troubles = anyio.run(call, "irrd://127.0.0.1:1")
    assert lists == {} and len(troubles) == 4 and "did not answer" in troubles[0]


LISTS: dict[tuple[str, model.Family], tuple[str, ...]] = {
    (name, family): lists
    for name in ("peer", "ixp")
    for family, lists in ((4, ("9.9.8.0/22{23,24}", "9.9.9.0/24")), (6, ("2a00:8::/32",)))
}  # type: ignore[misc]


def generated(found: model.Intent, edge: str) -> tuple[str, tuple[trial.Put, ...]]:
    posture = decide.posture(found, decide.stages(found)[-1])
    text = engines.render(found, found.edge(edge), posture, LISTS)
    up = [name for name, tie in posture.ties.items() if tie.is_up]
    silent = [name for name, tie in posture.ties.items() if not tie.announces]
    return text, trial.cases(found, found.edge(edge), up=up, silent=silent, lists=LISTS)


def tried(text: str, puts: tuple[trial.Put, ...]) -> tuple[preflight.Case, ...]:
    async def call() -> tuple[preflight.Case, ...]:
        return await trial.try_filters(text, puts, clock=SystemClock())

    return anyio.run(call)


needs_bird = pytest.mark.skipif(not any(shutil.which(each) for each in bird.PROGRAMS), reason="bird2 is not installed")


@needs_bird
def test_bird_itself_judges_every_route_as_it_should_be_with_the_generated_filters() -> None:
    found = wanted()
    for edge in found.edges:
        text, puts = generated(found, edge.name)
        cases = tried(text, puts)
        assert len(cases) == len(puts) >= 20
        assert [each for each in cases if each.is_taken != each.is_wanted] == []
        report = preflight.run(found, preflight.Evidence(cases=cases), only=["filters-proven"])
        assert {each.result for each in report} == {Result.OK}


WRONG = [
    ("  if net ~ OWN_PARTS_IPV4 then reject;\n", "", "our own prefix 198.51.100.0/24 passes"),
    (" || bgp_path ~ [ 0, 23456, 64496..131071, 4200000000..4294967295 ]", "", "a route through a private number"),
    ("  if bgp_path.first != 64501 then reject;\n", "", "begins with another's number"),
    ("  if roa_check(roa_ipv4, net, bgp_path.last) = ROA_INVALID then reject;\n", "", "a ROA forbids"),
    ('  if proto = "own_ipv4" && net ~ OWN_IPV4 then {', "  if true then {", "a route of somebody else 9.9.1.0/24 passes"),
    ('  if proto = "own_ipv4" && net ~ OWN_IPV4 then {', "  if false then {", "our own prefix 198.51.100.0/24 does not pass"),
    ("net.len > 24 ", "net.len > 25 ", "too long for the Internet"),
    ("  if !(net ~ FROM_IXP_IPV4) then reject;\n", "", "not on its list"),
]  # fmt: skip


@needs_bird
@pytest.mark.parametrize(("line", "instead", "evidence"), WRONG, ids=[row[2] for row in WRONG])
def test_a_generated_filter_that_is_wrong_is_found_out(line: str, instead: str, evidence: str) -> None:
    """The example's own numbers are private ones, so these are refused only where that is what is tried."""
    found = replace(wanted(), policies=replace(wanted().policies, bogons="private" in evidence))
    text, puts = generated(found, "par1")
    assert line in text
    cases = tried(text.replace(line, instead), puts)
    report = preflight.run(found, preflight.Evidence(cases=cases), only=["filters-proven"])
    assert any(evidence in each.evidence for each in report.of(Result.STOP)), str(report)


@needs_bird
def test_filters_that_bird_cannot_read_are_an_error_of_theirs() -> None:
    text, puts = generated(wanted(), "par1")
    with pytest.raises(InvalidError, match="BIRD refuses"):
        tried(text.replace("bgp_local_pref = ", "bgp_local_pref = = "), puts)
    with pytest.raises(InvalidError, match="has no filter"):
        tried("", puts)
