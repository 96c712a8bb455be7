"""Registries: one suite over both protocols, against the laboratory's server; bgpq4, where it is, against the same."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from havre.base.errors import DeniedError, HavreError, InvalidError, UnavailableError
from havre.drivers import irr
from havre.drivers.irr import rpsl
from havre.network.lab.servers import irr as lab
from havre.network.lab.servers.register import Files
from tests.driver.irrd_rig import irrd
from tests.driver.registry_rig import scripted, server

OBJECTS = """
route:          198.51.100.0/24
origin:         AS64510
mnt-by:         OUR-MNT
source:         RIPE

route:          198.51.100.0/24
origin:         AS64500
mnt-by:         HP-MNT
source:         RADB

route:          203.0.113.0/24
origin:         AS64511
mnt-by:         CUST-MNT
source:         RIPE

route6:         2001:db8:100::/48
origin:         AS64510
mnt-by:         OUR-MNT
source:         RIPE

as-set:         AS-OUR
members:        AS64510, AS64500:AS-CUSTOMERS,   # a comment
                AS-EMPTY
mbrs-by-ref:    CUST-MNT
mnt-by:         OUR-MNT
source:         RIPE

as-set:         AS64500:AS-CUSTOMERS
members:        AS64511
members:        AS-OUR
source:         RIPE

as-set:         AS-EMPTY
source:         RIPE

aut-num:        AS64512
as-name:        REFERS
member-of:      AS-OUR
mnt-by:         CUST-MNT
source:         RIPE

aut-num:        AS64513
as-name:        PRETENDS
member-of:      AS-OUR
mnt-by:         OTHER-MNT
source:         RIPE

aut-num:        AS64510
as-name:        OUR
import:         from AS64501 accept ANY
export:         to AS64501 announce AS-OUR
source:         RIPE
"""
OUR4 = ipaddress.ip_network("198.51.100.0/24")
OUR6 = ipaddress.ip_network("2001:db8:100::/48")


@pytest.fixture(scope="module", params=["lab", pytest.param("irrd", marks=pytest.mark.soak)])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The laboratory's server, and IRRd itself: what one answers, the other answers."""
    if request.param == "irrd":
        by_source: dict[str, str] = {"RIPE": "", "RADB": ""}
        for each in rpsl.objects(OBJECTS):
            by_source[each.first("source")] += rpsl.written(each) + "\n"
        with irrd(request.getfixturevalue("postgres"), by_source) as port:
            yield port
        return
    folder = tmp_path_factory.mktemp("irr")
    (folder / "a.rpsl").write_text(OBJECTS)
    with server("irr", folder) as port:
        yield port


@pytest.fixture(params=irr.PROTOCOLS)
def ask(request: pytest.FixtureRequest, port: int) -> Callable[..., irr.Registry]:
    def made(*sources: str) -> irr.Registry:
        return irr.registry(request.param, irr.Endpoint("127.0.0.1", port, sources, quiet_s=30))

    return made


def run(call: Callable[[], Awaitable[Any]]) -> Any:
    return anyio.run(call)


def test_an_origin_has_the_prefixes_of_its_route_objects_in_each_family(ask: Callable[..., irr.Registry]) -> None:
    assert run(lambda: ask().prefixes(["AS64510", "as64511", "AS65000"], family=4)) == {
        "AS64510": (OUR4,),
        "AS64511": (ipaddress.ip_network("203.0.113.0/24"),),
        "AS65000": (),
    }
    assert run(lambda: ask().prefixes(["AS64510"], family=6)) == {"AS64510": (OUR6,)}


def test_a_set_has_its_members_and_those_that_refer_to_it_with_a_trusted_maintainer(
    ask: Callable[..., irr.Registry],
) -> None:
    found = run(lambda: ask().members(["as-our", "AS-EMPTY", "AS-NOT-THERE", "AS64500:AS-CUSTOMERS"]))
    assert set(found["AS-OUR"]) == {"AS64510", "AS64500:AS-CUSTOMERS", "AS-EMPTY", "AS64512"}
    assert found["AS-EMPTY"] == () and found["AS-NOT-THERE"] is None
    assert set(found["AS64500:AS-CUSTOMERS"]) == {"AS64511", "AS-OUR"}


def test_both_origins_of_a_prefix_are_seen_and_only_those_of_the_sources_that_are_asked(
    ask: Callable[..., irr.Registry],
) -> None:
    assert run(lambda: ask().origins(OUR4)) == ("AS64500", "AS64510")
    assert run(lambda: ask("RIPE").origins(OUR4)) == ("AS64510",)
    assert run(lambda: ask("RADB").origins(OUR4)) == ("AS64500",)
    assert run(lambda: ask().origins(ipaddress.ip_network("198.51.100.0/25"))) == ()


def test_an_object_is_read_by_its_class_and_key(ask: Callable[..., irr.Registry]) -> None:
    found = run(lambda: ask().object("aut-num", "AS64510"))
    assert found is not None and found.first("import") == "from AS64501 accept ANY"
    assert run(lambda: ask().object("aut-num", "AS65000")) is None
    assert run(lambda: ask().object("as-set", "AS-EMPTY")) is not None
    route = run(lambda: ask().object("route", "198.51.100.0/24AS64500"))
    assert route is not None and route.first("source") == "RADB"


@pytest.mark.parametrize("name", ["AS-X\n!q", "RS", "64510", "AS-" + "X" * 100, "", "AS64500::AS-X", "ÄS-X"])
def test_what_is_no_name_is_never_sent(ask: Callable[..., irr.Registry], name: str) -> None:
    with pytest.raises(InvalidError, match="is not the name of a set"):
        run(lambda: ask().members([name]))
    with pytest.raises(InvalidError, match="is not an autonomous system"):
        run(lambda: ask().prefixes([name], family=4))


def test_an_unknown_source_is_said_by_name(port: int) -> None:
    with pytest.raises(InvalidError, match="refused '!sNOSUCH'"):
        run(lambda: irr.Irrd(irr.Endpoint("127.0.0.1", port, ("NOSUCH",))).origins(OUR4))


def test_thousands_of_questions_are_answered_in_their_order_over_one_connection(port: int) -> None:
    asked = [f"AS{64000 + at}" for at in range(2000)]
    found = run(lambda: irr.Irrd(irr.Endpoint("127.0.0.1", port)).prefixes(asked, family=4))
    assert list(found) == asked and {asn for asn, has in found.items() if has} == {"AS64500", "AS64510", "AS64511"}


def test_a_whole_set_is_resolved_by_the_server_in_one_question_loops_and_all(port: int) -> None:
    registry = irr.Irrd(irr.Endpoint("127.0.0.1", port, ("RIPE",)))
    found = run(lambda: registry.prefixes_of_set("AS-OUR", family=4))
    assert set(found) == {OUR4, ipaddress.ip_network("203.0.113.0/24")}
    assert run(lambda: registry.prefixes_of_set("AS-NONE", family=4)) is None


IRRD_WRONG = [
    (b"F no\n", InvalidError, "refused"),
    (b"HTTP/1.1 400 Bad Request\r\n", UnavailableError, "does not speak IRRd"),
    (b"A99999999999\n", UnavailableError, "more than we read|does not speak"),
    (b"A10\nshort", UnavailableError, "did not answer"),
    (b"A3\nab\nX\n", UnavailableError, "did not end"),
    (b"x" * 9000, UnavailableError, "does not speak IRRd"),
    (b"", UnavailableError, "did not answer"),
]


@pytest.mark.parametrize(("said", "error", "match"), IRRD_WRONG)
def test_a_bad_answer_of_irrd_is_a_clear_error(said: bytes, error: type[HavreError], match: str) -> None:
    async def call() -> None:
        async with scripted(said) as bad:
            await irr.Irrd(irr.Endpoint("127.0.0.1", bad.port, quiet_s=10)).origins(OUR4)

    with pytest.raises(error, match=match):
        leaf(lambda: anyio.run(call))


WHOIS_WRONG = [
    (b"%ERROR:201: access denied\n\n\n", DeniedError, "access denied"),
    (b"%ERROR:102: unknown source\n\n\n", InvalidError, "unknown source"),
    (b"%% ERROR: Unrecognised flag/search: B\n\n\n", InvalidError, "Unrecognised flag"),
    (b"%ERROR:305: connection has been closed\n\n\n", UnavailableError, "305"),
    (b"<html>\n\n\n", UnavailableError, "does not answer in RPSL"),
    (b"route: 198.51", UnavailableError, "did not answer"),
]


@pytest.mark.parametrize(("said", "error", "match"), WHOIS_WRONG)
def test_a_bad_answer_of_whois_is_a_clear_error(said: bytes, error: type[HavreError], match: str) -> None:
    async def call() -> None:
        async with scripted(said) as bad:
            await irr.Whois(irr.Endpoint("127.0.0.1", bad.port, quiet_s=10)).origins(OUR4)

    with pytest.raises(error, match=match):
        leaf(lambda: anyio.run(call))


@pytest.mark.parametrize("protocol", irr.PROTOCOLS)
def test_a_server_that_says_nothing_is_given_up(protocol: str) -> None:
    async def call() -> None:
        async with scripted(hangs=True) as silent:
            await irr.registry(protocol, irr.Endpoint("127.0.0.1", silent.port, quiet_s=0.2)).origins(OUR4)

    with pytest.raises(UnavailableError, match="did not answer"):
        leaf(lambda: anyio.run(call))


def test_nobody_at_the_port_is_a_server_that_does_not_answer() -> None:
    with pytest.raises(UnavailableError, match="did not answer"):
        run(lambda: irr.Irrd(irr.Endpoint("127.0.0.1", 1, quiet_s=1)).origins(OUR4))


def leaf(call: Callable[[], None]) -> None:
    """Raise what is inside the group that the scripted server's tasks make of it."""
    try:
        call()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=80), st.from_regex(r"\A!?[a-zA-Z0-9]?[ A-Za-z0-9:,/.-]{0,30}\Z")))
def test_the_laboratorys_server_answers_anything_with_something_of_its_protocol(line: str) -> None:
    register = Files([]).read()
    said = lab.answer(register, lab.Talk(), line.strip())
    if line.strip().startswith("!"):
        assert said == b"" or said[:1] in b"ACDF"
    else:
        assert said == b"" or said.startswith(b"%")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.rpsl"
    file.write_text("as-set: AS-ONE\nsource: RIPE\n")
    files = Files([tmp_path])
    assert files.read().members("AS-ONE") == [] and files.read().members("AS-TWO") is None
    (tmp_path / "b.rpsl").write_text("as-set: AS-TWO\nmembers: AS1\nsource: RIPE\n")
    assert files.read().members("AS-TWO") == ["AS1"]


@pytest.mark.skipif(shutil.which("bgpq4") is None, reason="bgpq4 is not installed")
def test_bgpq4_makes_of_our_server_what_our_client_makes_of_it(port: int) -> None:
    argv = ["bgpq4", "-h", f"127.0.0.1:{port}", "-S", "RIPE", "-j", "-l", "list", "AS-OUR"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    theirs = {each["prefix"] for each in json.loads(done.stdout)["list"]}
    registry = irr.Irrd(irr.Endpoint("127.0.0.1", port, ("RIPE",)))
    ours = run(lambda: registry.prefixes_of_set("AS-OUR", family=4))
    assert {str(each) for each in ours} == theirs == {"198.51.100.0/24", "203.0.113.0/24"}
