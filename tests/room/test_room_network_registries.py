"""Sets followed and lists made through the laboratory's registry: caching, several sources, and what stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from havre.base.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, UnavailableError
from havre.drivers import irr
from havre.network.registries import filters, sets
from havre.network.registries.filters import Asked
from tests.driver.registry_rig import server

RIPE = """
as-set: AS-TOP
members: AS64496, AS-MID, AS-GONE, ANY
source: RIPE

as-set: AS-MID
members: AS64497, AS64498:AS-LOW
source: RIPE

as-set: AS64498:AS-LOW
members: AS64498, AS-TOP
source: RIPE

as-set: AS-HOLLOW
source: RIPE

route: 203.0.112.0/24
origin: AS64496
source: RIPE

route: 203.0.113.0/24
origin: AS64497
source: RIPE

route: 203.0.114.0/25
origin: AS64497
source: RIPE

route6: 2001:db8:1::/48
origin: AS64498
source: RIPE
"""
RADB = """
as-set: AS-TOP
members: AS65000
source: RADB

as-set: AS-ONLY-RADB
members: AS64496
source: RADB

route: 198.51.100.0/24
origin: AS64496
source: RADB
"""


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.ms = 1_000_000_000_000

    def now(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    folder = tmp_path_factory.mktemp("registries")
    (folder / "ripe.rpsl").write_text(RIPE)
    (folder / "radb.rpsl").write_text(RADB)
    with server("irr", folder / "ripe.rpsl") as ripe, server("irr", folder / "radb.rpsl") as radb:
        yield ripe, radb


@pytest.fixture
def both(ports: tuple[int, int]) -> tuple[irr.Registry, ...]:
    """RIPE asked in whois, RADB in IRRd's protocol."""
    return (
        irr.Whois(irr.Endpoint("127.0.0.1", ports[0], ("RIPE",))),
        irr.Irrd(irr.Endpoint("127.0.0.1", ports[1], ("RADB",))),
    )


@pytest.fixture
def cache(tmp_path: Path) -> filters.Cache:
    return filters.Cache(tmp_path / "lists")


def ask(
    name: str, family: int, registries: tuple[irr.Registry, ...], cache: filters.Cache, clock: Time, **options: bool
) -> filters.PrefixList:
    async def call() -> filters.PrefixList:
        return await filters.prefix_list(Asked(name, family), registries, cache=cache, clock=clock, **options)

    return anyio.run(call)


def test_a_set_is_followed_to_its_end_and_everything_odd_is_told(both: tuple[irr.Registry, ...]) -> None:
    found = anyio.run(sets.resolve, "AS-TOP", both)
    assert found.origins == ("AS64496", "AS64497", "AS64498")
    assert found.missing == ("AS-GONE",) and found.ignored == ("ANY",)
    assert found.loops == (("AS-TOP", "AS-MID", "AS64498:AS-LOW", "AS-TOP"),)


def test_a_source_before_the_name_is_the_only_one_that_is_asked(both: tuple[irr.Registry, ...]) -> None:
    assert anyio.run(sets.resolve, "RADB::AS-TOP", both).origins == ("AS65000",)
    with pytest.raises(InvalidError, match="no registry is configured for the source ARIN"):
        anyio.run(sets.resolve, "ARIN::AS-TOP", both)


def test_a_set_of_the_second_registry_is_found_and_one_of_none_is_not(both: tuple[irr.Registry, ...]) -> None:
    assert anyio.run(sets.resolve, "AS-ONLY-RADB", both).origins == ("AS64496",)
    with pytest.raises(NotFoundError, match="AS-NOWHERE"):
        anyio.run(sets.resolve, "AS-NOWHERE", both)


@pytest.mark.parametrize("limits", [sets.Limits(depth=2), sets.Limits(sets=2), sets.Limits(origins=2)])
def test_a_set_without_end_is_given_up(both: tuple[irr.Registry, ...], limits: sets.Limits) -> None:
    async def call() -> None:
        await sets.resolve("AS-TOP", both, limits=limits)

    with pytest.raises(ExhaustedError, match="leads to more than"):
        anyio.run(call)


def test_a_list_has_the_prefixes_of_all_registries_in_each_family(
    both: tuple[irr.Registry, ...], cache: filters.Cache
) -> None:
    four = ask("AS-TOP", 4, both, cache, Time())
    assert four.bird() == ("198.51.100.0/24", "203.0.112.0/23{24,24}")
    assert four.frr() == ("198.51.100.0/24", "203.0.112.0/23 ge 24 le 24")
    assert four.left_out == 1 and four.missing == ("AS-GONE",)  # 203.0.114.0/25: no such route is taken
    assert ask("AS-TOP", 6, both, cache, Time()).bird() == ("2001:db8:1::/48",)
    assert ask("AS64497", 4, both, cache, Time()).bird() == ("203.0.113.0/24",)


def test_the_registrys_own_way_through_a_set_gives_the_same_list(ports: tuple[int, int], cache: filters.Cache) -> None:
    ripe = (irr.Irrd(irr.Endpoint("127.0.0.1", ports[0])),)

    async def call(whole: bool) -> filters.PrefixList:
        return await filters.prefix_list(Asked("AS-TOP", 4, whole=whole), ripe, cache=cache, clock=Time())

    assert anyio.run(call, True).texts == anyio.run(call, False).texts != ()


def test_an_empty_list_stops_and_is_never_kept(both: tuple[irr.Registry, ...], cache: filters.Cache) -> None:
    for name, family in (("AS-HOLLOW", 4), ("AS64498", 4), ("AS64496", 6)):
        with pytest.raises(InvalidError, match="an empty list never becomes a filter"):
            ask(name, family, both, cache, Time())
    with pytest.raises(InvalidError, match="no registry is configured"):
        ask("AS-TOP", 4, (), cache, Time())
    assert not cache.folder.exists()


def test_a_list_is_kept_then_asked_for_again_then_stands_in_then_is_too_old(
    tmp_path: Path, cache: filters.Cache
) -> None:
    file, clock = tmp_path / "x.rpsl", Time()
    file.write_text(RADB)
    with server("irr", file) as port:
        registry = (irr.Irrd(irr.Endpoint("127.0.0.1", port)),)
        first = ask("AS-ONLY-RADB", 4, registry, cache, clock)
        file.write_text(RADB + "\nroute: 198.51.101.0/24\norigin: AS64496\nsource: RADB\n")
        clock.ms += 1000
        assert ask("AS-ONLY-RADB", 4, registry, cache, clock) == first
        clock.ms += 3_600_000
        second = ask("AS-ONLY-RADB", 4, registry, cache, clock)
        assert second.bird() == ("198.51.100.0/23{24,24}",) and not second.error
    clock.ms += 3_600_000
    standing_in = ask("AS-ONLY-RADB", 4, registry, cache, clock)
    assert standing_in.entries == second.entries and "did not answer" in standing_in.error
    assert standing_in.made_at == second.made_at
    clock.ms += 8 * 86_400_000
    with pytest.raises(UnavailableError, match="did not answer"):
        ask("AS-ONLY-RADB", 4, registry, cache, clock)
    assert cache.collect(now=int(max(f.stat().st_mtime for f in cache.folder.iterdir()) * 1000) + 8 * 86_400_000) == 1


def test_a_list_that_lost_most_of_what_it_had_waits_for_a_person(tmp_path: Path, cache: filters.Cache) -> None:
    def objects(count: int) -> str:
        return "\n".join(f"route: 10.{2 * at}.0.0/16\norigin: AS64496\nsource: R\n" for at in range(count))

    file, clock = tmp_path / "x.rpsl", Time()
    file.write_text(objects(40))
    with server("irr", file) as port:
        registry = (irr.Irrd(irr.Endpoint("127.0.0.1", port)),)
        assert len(ask("AS64496", 4, registry, cache, clock).entries) == 40
        file.write_text(objects(19))
        clock.ms += 3_600_001
        with pytest.raises(ConflictError, match="shrank from 40 to 19"):
            ask("AS64496", 4, registry, cache, clock)
        assert len(ask("AS64496", 4, registry, cache, clock, accept_shrinking=True).entries) == 19


def test_a_broken_cache_is_no_cache(both: tuple[irr.Registry, ...], cache: filters.Cache) -> None:
    clock = Time()
    ask("AS-TOP", 4, both, cache, clock)
    (file,) = cache.folder.iterdir()
    for text in (
        "",
        "{}",
        "[]",
        '{"form": 1, "name": "AS-TOP", "entries": ["x"]}',
        '{"form": 1, "name": "AS-TOP", "entries": []}',
    ):
        file.write_text(text)
        assert ask("AS-TOP", 4, both, cache, clock).bird() == ("198.51.100.0/24", "203.0.112.0/23{24,24}")
