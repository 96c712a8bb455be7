"""Puts routes to the route-maps of a configuration for FRR, in FRR's own bgpd, and tells which pass.

The lists and route-maps of the configuration are taken as they are; bgpd runs without zebra, on loopback alone, in a
temporary directory, and a BIRD beside it is every neighbour: each session of the trial has one of the real ones' maps.
What is not of the maps (ROAs, a first number that is another's) is not tried. Needs root: FRR changes its user.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from havre.base.errors import HavreError, InvalidError, UnavailableError
from havre.drivers import bird, frr
from havre.drivers.frr import Frr
from havre.kernel.clock import Clock
from havre.network.preflight.model import Case
from havre.network.preflight.trial import STRANGER, Put

__all__ = ["try_filters"]
BGPD = Path("/usr/lib/frr/bgpd")
LIMIT_S = 60.0
TOLD_S = 10.0  # for what every neighbour should be told, beyond who is told everything
TAKEN = re.compile(
    r"^(?:ipv?6? prefix-list .*\n|bgp (?:as-path|large-community-list|route-map) .*\n"
    r"|route-map (?:in|out)_\w+ .*\n(?:^ .*\n)*^exit\n)", re.M,
)  # fmt: skip
RPKI = re.compile(r"^route-map \w+ deny \d+\n match rpki .*\nexit\n", re.M)
HERE, LEARNED, ALL = "127.0.0.1", "learned", "all"


@dataclass(frozen=True, slots=True)
class _Session:
    """One session of the trial. name: `t1_ipv4`, or what a filter does not have; far, asn: BIRD's end; near: bgpd's,
    which BIRD wants another one of for each session."""

    name: str
    near: str
    far: str
    asn: int
    sent: tuple[Put, ...]


async def try_filters(generated: str, puts: Sequence[Put], *, clock: Clock) -> tuple[Case, ...]:
    """What FRR makes of each route. Raises UnavailableError when it cannot be tried here, or not in time, InvalidError
    when the configuration has no such maps."""
    puts = [each for each in puts if not each.roa and each.path[:2] != (STRANGER, STRANGER)]
    if not puts:
        return ()
    sessions = _sessions(generated, puts)
    try:
        with anyio.fail_after(LIMIT_S):
            async with _running(generated, puts, sessions, clock=clock) as edge:
                taken = await _judged(edge, puts, sessions, clock=clock)
    except TimeoutError as cause:
        raise UnavailableError(f"the trial of FRR's maps was not over within {LIMIT_S:.0f} s") from cause
    return tuple(
        Case(each.filter, each.route, each.what, each.is_wanted, each.route in taken[each.filter]) for each in puts
    )


def _sessions(generated: str, puts: Sequence[Put]) -> list[_Session]:
    """Those whose maps are tried; one that learns what exports are tried with, and one that is told everything."""
    names = list(dict.fromkeys(each.filter.partition("_")[2] for each in puts))
    found = []
    for number, name in enumerate(names, 1):
        way = re.search(rf"^  neighbor (\S+) route-map in_{name} in$", generated, re.M)
        asn = re.search(rf"^ neighbor {re.escape(way[1])} remote-as (\d+)$", generated, re.M) if way else None
        if asn is None:
            raise InvalidError(f"the generated configuration has no session {name}")
        sent = tuple(each for each in puts if each.filter == f"in_{name}")
        found.append(_Session(name, f"127.0.3.{number}", f"127.0.1.{number}", int(asn[1]), sent))
    routes = {(each.family, each.route): each for each in puts if each.maker == LEARNED}
    found.append(_Session(LEARNED, "127.0.4.1", "127.0.2.1", STRANGER, tuple(routes.values())))
    return [*found, _Session(ALL, "127.0.4.2", "127.0.2.2", STRANGER + 1, ())]


def _bgpd(generated: str, puts: Sequence[Put], sessions: Sequence[_Session]) -> Iterator[str]:
    own = re.search(r"^router bgp (\d+)$", generated, re.M)
    assert own is not None
    yield "frr defaults traditional"
    yield from TAKEN.findall(RPKI.sub("", generated))
    yield "route-map PASS permit 10\nexit"
    yield f"router bgp {own[1]}\n bgp router-id {HERE}\n no bgp default ipv4-unicast\n no bgp network import-check"
    for each in sessions:
        yield f" neighbor {each.far} remote-as {each.asn}\n neighbor {each.far} passive"
        yield f" neighbor {each.far} ebgp-multihop 4\n neighbor {each.far} advertisement-interval 0"
    for family in (4, 6):
        yield f" address-family ipv{family} unicast"
        for route in sorted({each.route for each in puts if each.maker not in ("", LEARNED) and each.family == family}):
            yield f"  network {route}"
        for each in sessions:
            of = each.name.rpartition("_ipv")[2]
            if of in (str(family), each.name):
                into, out = (f"in_{each.name}", f"out_{each.name}") if of == str(family) else ("PASS", "PASS")
                yield f"  neighbor {each.far} activate\n  neighbor {each.far} soft-reconfiguration inbound"
                yield f"  neighbor {each.far} route-map {into} in\n  neighbor {each.far} route-map {out} out"
        yield " exit-address-family"


def _bird(sessions: Sequence[_Session], asn: str, ports: tuple[int, int]) -> Iterator[str]:
    yield "router id 127.0.0.2;\nprotocol device { }"
    for number, each in enumerate(sessions):
        channels = []
        for family in (4, 6):
            of = each.name.rpartition("_ipv")[2]
            if of not in (str(family), each.name):
                continue
            table = f"t{number}_{family}"
            sent = " ".join(f"route {put.route} blackhole {_path(put)};" for put in each.sent if put.family == family)
            yield f"ipv{family} table {table};"
            yield f"protocol static s{number}_{family} {{ ipv{family} {{ table {table}; }}; {sent} }}"
            hop = "192.0.2.2" if family == 4 else "fd00::2"
            rules = f"next hop address {hop}; import all; export where source = RTS_STATIC;"
            channels.append(f"ipv{family} {{ table {table}; {rules} }};")
        yield (
            f"protocol bgp b{number} {{ local {each.far} port {ports[0]} as {each.asn}; strict bind; rs client;"
            f" neighbor {each.near} port {ports[1]} as {asn}; multihop 4; connect delay time 0; connect retry time 1;"
            f" error wait time 1, 1; {' '.join(channels)} }}"
        )


def _path(put: Put) -> str:
    prepends = " ".join(f"bgp_path.prepend({each});" for each in reversed(put.path))
    return f"{{ {prepends} }}"


async def _judged(
    edge: Frr, puts: Sequence[Put], sessions: Sequence[_Session], *, clock: Clock
) -> dict[str, Collection[str]]:
    """By filter the routes that passed: of imports those that bgpd uses, of exports those that it tells."""
    taken: dict[str, Collection[str]] = {}
    for family in (4, 6):
        told = {each.route for each in puts if each.maker and each.family == family}
        everything = f"show bgp ipv{family} unicast neighbors {sessions[-1].far} advertised-routes json"
        while not told <= await _routes(edge, everything, "advertisedRoutes"):  # until who is told everything has it
            await clock.sleep(0.1)
    for each in sessions[:-2]:
        asked = f"show bgp ipv{each.name.rpartition('_ipv')[2]} unicast neighbors {each.far}"
        while len(await _routes(edge, f"{asked} received-routes json", "receivedRoutes")) < len(each.sent):
            await clock.sleep(0.1)
        taken[f"in_{each.name}"] = await _routes(edge, f"{asked} routes json", "routes")
        own = {put.route for put in puts if put.filter == f"out_{each.name}" and put.is_wanted}
        deadline = clock.monotonic() + TOLD_S
        out = await _routes(edge, f"{asked} advertised-routes json", "advertisedRoutes")
        while not own <= out and clock.monotonic() < deadline:
            await clock.sleep(0.1)
            out = await _routes(edge, f"{asked} advertised-routes json", "advertisedRoutes")
        taken[f"out_{each.name}"] = out
    return taken


async def _routes(edge: Frr, command: str, name: str) -> set[str]:
    said = await edge.ask(command)
    found: dict[str, Any] = json.loads(said[said.find("{") :]) if "{" in said else {}
    return set(found.get(name, {}))


@asynccontextmanager
async def _running(
    generated: str, puts: Sequence[Put], sessions: Sequence[_Session], *, clock: Clock
) -> AsyncIterator[Frr]:
    """Both daemons, ended by their own processes; their files are gone afterwards."""
    program = next((found for each in bird.PROGRAMS if (found := shutil.which(each))), None)
    if program is None or not BGPD.exists() or os.geteuid() != 0:
        raise UnavailableError("maps of FRR are tried as root, with frr and bird2 installed", program="frr")
    folder = Path(tempfile.mkdtemp(prefix="ftrial"))
    started = []
    try:
        folder.chmod(0o755)
        place, ports = folder / "frr", (_free(), _free())
        place.mkdir()
        (place / "bgpd.conf").write_text("\n".join(_bgpd(generated, puts, sessions)) + "\n")
        asn = re.search(r"^router bgp (\d+)$", generated, re.M)
        assert asn is not None
        (folder / "bird.conf").write_text("\n".join(_bird(sessions, asn[1], ports)) + "\n")
        for each in (place, place / "bgpd.conf"):
            shutil.chown(each, "frr", "frr")
        await bird.check(folder / "bird.conf")
        await frr.check(place / "bgpd.conf")
        one = [str(BGPD), "-Z", "-f", f"{place}/bgpd.conf", "-i", f"{place}/pid", "-p", str(ports[1])]
        one += [word for each in sessions for word in ("-l", each.near)]
        one += ["--vty_socket", str(place), "-P", "0", "--log", f"file:{place}/log"]
        two = [program, "-f", "-c", f"{folder}/bird.conf", "-s", f"{folder}/b", "-P", f"{folder}/pid"]
        for argv in (one, two):
            started.append(await anyio.open_process(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        edge = Frr(place)
        async with bird.Bird(folder / "b") as neighbors:
            while not (await _answers(edge) and await _answers(neighbors)):
                if any(process.returncode is not None for process in started):
                    raise UnavailableError("a daemon ended before the trial of FRR's maps began", program="frr")
                await clock.sleep(0.05)
        yield edge
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(10):
            for process in started:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


async def _answers(daemon: bird.Bird | Frr) -> bool:
    try:
        await daemon.version()
    except HavreError:
        return False
    return True
