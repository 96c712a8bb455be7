"""What has to be filed is asked of a running registry: what it has is left out, what is there is not forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from havre.base.errors import UnavailableError
from havre.kernel.clock import SystemClock
from havre.network import decide, now
from havre.network.lab import registers
from havre.network.lab.world import Knobs
from havre.network.work import Work
from tests.decide.network_rig import example, parsed
from tests.driver.registry_rig import server

pytestmark = pytest.mark.anyio


def tree(port: int, folder: Path) -> Path:
    content = example().replace(
        "  source: RIPE\n", f'  source: RIPE\n  servers: {{ RIPE: "irrd://127.0.0.1:{port}" }}\n', 1
    )
    file = folder / "intent.yaml"
    file.write_text(content)
    return file


async def test_what_is_there_is_not_filed_again(tmp_path: Path) -> None:
    objects = tmp_path / "irr.db"
    objects.write_text(registers.objects(parsed(example()), Knobs(irr_has_new_origin=False)))
    with server("irr", objects) as port:
        file, clock = tree(port, tmp_path), SystemClock()
        found = await now.filings_now(file, is_cleaning=False, clock=clock)
        assert [each.splitlines()[0] for each in found if not each.startswith("# ROA")] == [
            "# create route 198.51.100.0/24AS64510", "# create route6 2001:db8:100::/48AS64510",
        ]  # fmt: skip
        objects.write_text(registers.objects(parsed(example()), Knobs()))
        found = await now.filings_now(file, is_cleaning=False, clock=clock)
        assert [each for each in found if not each.startswith("# ROA")] == []
        cleaning = await now.filings_now(file, is_cleaning=True, clock=clock)
        assert [each.splitlines()[0] for each in cleaning] == [
            "# delete route 198.51.100.0/24AS64500", "# delete route6 2001:db8:100::/48AS64500",
        ]  # fmt: skip


async def test_a_registry_that_is_silent_is_not_taken_for_empty(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        await now.filings_now(tree(1, tmp_path), is_cleaning=False, clock=SystemClock())


async def test_preflight_asks_the_same_registry(tmp_path: Path) -> None:
    objects = tmp_path / "irr.db"
    objects.write_text(registers.objects(parsed(example()), Knobs(irr_has_new_origin=False)))
    with server("irr", objects) as port:
        report = await now.preflight_now(tree(port, tmp_path), tmp_path / "state", clock=SystemClock())
    stopped = [each for each in report.stops if each.check == "route-object"]
    assert len(stopped) == 2 and all("not there: AS64500" in each.evidence for each in stopped)


PEERS = """\
  ix:
    kind: ixp
    asn: 64700
    edge: lyo1
    ipv4: { local: 10.9.0.1, neighbor: 10.9.0.2 }
    ipv6: { local: "fd00:9::1", neighbor: "fd00:9::2" }
    filters: { as_set: AS-IX }
"""
OF_PEERS = """
as-set: AS-IX
members: AS64701
source: RIPE

route: 192.0.2.0/24
origin: AS64701
source: RIPE

route6: 2001:db8:900::/48
origin: AS64701
source: RIPE
"""


async def test_the_edges_of_a_migration_have_their_peers_prefixes_from_the_registries(tmp_path: Path) -> None:
    objects = tmp_path / "irr.db"
    objects.write_text(registers.objects(parsed(example()), Knobs()) + OF_PEERS)
    with server("irr", objects) as port:
        file = tree(port, tmp_path)
        tree_with_peers = parsed(file.read_text().replace("policies:", PEERS + "\npolicies:"))
        work = Work(None, None, SystemClock(), tmp_path / "state")  # type: ignore[arg-type]
        async with work.edges(tree_with_peers) as edges:
            text = edges.texts(decide.settled(tree_with_peers))["lyo1"]
    assert "define FROM_IX_IPV4 = [\n192.0.2.0/24\n];" in text
    assert "define FROM_IX_IPV6 = [\n2001:db8:900::/48\n];" in text
