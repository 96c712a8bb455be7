"""Puts routes to the filters of a generated configuration, in BIRD itself, and tells which pass.

The filters, definitions and ROA tables of the configuration are taken as they are; around them stands a daemon of its
own without any session, in a temporary directory, as whoever runs this: static routes, pipes whose filters these are,
and the tables behind them. What passes is what the real daemon would take from, or tell to, that neighbour. How the
generator means its filters does not matter here: the cases come from what must be so.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers import bird
from havre.kernel.clock import Clock
from havre.network.model import Edge, Family, Intent, Upstream, UpstreamKind
from havre.network.preflight.model import Case
from havre.network.registries.prefixes import Entry

__all__ = ["Put", "cases", "configuration", "filters_of", "try_filters"]
LIMIT_S = 60.0
KEPT = re.compile(r"^(?:define \w+ = [^;]*;|roa[46] table \w+;)$", re.M)
FILTER = re.compile(r"^filter (\w+) \{\n.*?^\}$", re.M | re.S)
STATS = re.compile(r"Export updates:\s+(\d+)\s+(\d+)\s+(\d+)\s+\S+\s+(\d+)")
FAR = {4: "9.9.%d.0/%d", 6: "2a00:%x::/%d"}
"""Routes of somebody else, of places that no list of reserved prefixes has."""
LENGTH = {4: 24, 6: 32}
TOO_LONG = {4: 25, 6: 49}
BOGON = {4: "10.99.0.0/16", 6: "fd99::/32"}
STRANGER, PRIVATE, FORBIDDEN = 3320, 64999, 3215


@dataclass(frozen=True, slots=True)
class Put:
    """A route that is put to a filter. path: its AS path, the neighbour's number first. maker: the protocol that has
    it, which filters of exports look at. roa: a number that alone may announce it, 0 for no ROA."""

    filter: str
    family: Family
    route: str
    what: str
    is_wanted: bool
    path: tuple[int, ...] = ()
    maker: str = ""
    roa: int = 0


def filters_of(configuration: str) -> dict[str, str]:
    """The text of each filter by its name."""
    return {match[1]: match[0] for match in FILTER.finditer(configuration)}


def cases(
    intent: Intent,
    edge: Edge,
    *,
    up: Collection[str],
    silent: Collection[str] = (),
    lists: Mapping[tuple[str, Family], Sequence[str]],
) -> tuple[Put, ...]:
    """What each neighbour's filters of that edge must make of which route.

    up: the upstreams that we have sessions with at that stage; silent: those of them that are told nothing.
    """
    found: list[Put] = []
    for each in intent.upstreams_of(edge.name):
        if each.name not in up:
            continue
        for family in each.families:
            found += _imports(intent, each, family, lists.get((each.name, family), ()))
            found += _exports(intent, each, family, told=each.name not in silent)
    return tuple(found)


def _imports(intent: Intent, each: Upstream, family: Family, listed: Sequence[str]) -> Iterator[Put]:
    name, path = f"in_{each.name}_ipv{family}", (int(each.asn), STRANGER)

    def put(route: str, what: str, wanted: bool, *, path: tuple[int, ...] = path, roa: int = 0) -> Put:
        return Put(name, family, route, what, wanted, path, roa=roa)

    def far(number: int, length: int = LENGTH[family]) -> str:
        return FAR[family] % (number, length)

    from_list = not each.kind.carries_everything
    good = _inside(listed) if from_list else far(1)
    if good:
        yield put(good, "a good route", True)
        if intent.policies.rov == "reject" and from_list is False:
            yield put(far(2), "a route whose origin a ROA forbids", False, roa=FORBIDDEN)
    for own in intent.own(family):
        yield put(str(own.prefix), "our own prefix", False)
        halves = list(own.prefix.network.subnets())
        yield put(str(halves[0]), "a part of our own prefix", False)
    yield put(far(3, TOO_LONG[family]), "a route too long for the Internet", False)
    if from_list:
        yield put(far(4), "a route that is not on its list", False)
    if intent.policies.bogons:
        yield put(BOGON[family], "a reserved prefix", False)
        yield put(far(5), "a route through a private number", False, path=(int(each.asn), PRIVATE))
    if intent.policies.first_as and each.kind is not UpstreamKind.IXP:
        yield put(far(6), "a route that begins with another's number", False, path=(STRANGER, STRANGER))


def _exports(intent: Intent, each: Upstream, family: Family, *, told: bool) -> Iterator[Put]:
    name, own = f"out_{each.name}_ipv{family}", f"own_ipv{family}"
    for prefix in intent.own(family):
        yield Put(name, family, str(prefix.prefix), "our own prefix", told, maker=own)
        part = next(iter(prefix.prefix.network.subnets()))
        yield Put(name, family, str(part), "a part of our own prefix, learned", False, (STRANGER,), "learned")
    yield Put(
        name, family, FAR[family] % (1, LENGTH[family]), "a route of somebody else", False, (STRANGER,), "learned"
    )
    yield Put(name, family, "0.0.0.0/0" if family == 4 else "::/0", "the default route", False, (), "default")


def _inside(listed: Sequence[str]) -> str:
    """A route that the first entry of a list allows; empty when there is none."""
    for text in listed:
        with contextlib.suppress(ValueError):
            entry = Entry.parse(text)
            return str(next(iter(entry.prefix.subnets(new_prefix=entry.low))))
    return ""


def configuration(generated: str, puts: Sequence[Put]) -> str:
    """The trial's own configuration. Raises InvalidError when a filter is not in the generated one."""
    filters = filters_of(generated)
    missing = sorted({each.filter for each in puts} - filters.keys())
    if missing:
        raise InvalidError(f"the generated configuration has no filter {missing[0]}")
    used = [name for name in filters if any(each.filter == name for each in puts)]
    lines = ["router id 127.0.0.1;", "protocol device { }", *KEPT.findall(generated)]
    tables = [line.split()[2].rstrip(";") for line in lines if line.startswith("roa")]
    for family in (4, 6):
        roas = {(each.route, each.roa) for each in puts if each.roa and each.family == family}
        if roas and f"roa_ipv{family}" in tables:
            routes = " ".join(f"route {route} max {route.rpartition('/')[2]} as {asn};" for route, asn in sorted(roas))
            lines.append(f"protocol static trial_roas{family} {{ roa{family} {{ table roa_ipv{family}; }}; {routes} }}")
    for number, name in enumerate(used):
        lines += [filters[name], *_around(number, name, [each for each in puts if each.filter == name])]
    return "\n".join(lines) + "\n"


def _around(number: int, name: str, puts: Sequence[Put]) -> Iterator[str]:
    """The tables, routes and pipe of one filter. Names of protocols are unique, but a filter of exports looks for those
    that make our own: such a filter's text is read with the trial's name in the place of the real one."""
    family = puts[0].family
    before, after = f"before_{number}", f"after_{number}"
    yield f"ipv{family} table {before};"
    yield f"ipv{family} table {after};"
    for maker in sorted({each.maker for each in puts}):
        routes = " ".join(f"route {each.route} blackhole {_path(each)};" for each in puts if each.maker == maker)
        yield f"protocol static {_maker(maker, number)} {{ ipv{family} {{ table {before}; }}; {routes} }}"
    yield f"protocol pipe pipe_{number} {{ table {before}; peer table {after}; import none; export filter {name}; }}"


def _path(put: Put) -> str:
    """The attributes of a route as BGP would have brought it."""
    if not put.path:
        return ""
    prepends = " ".join(f"bgp_path.prepend({each});" for each in reversed(put.path))
    return f"{{ {prepends} }}"


def _maker(maker: str, number: int) -> str:
    return f"{maker or 'heard'}_{number}"


async def try_filters(generated: str, puts: Sequence[Put], *, clock: Clock) -> tuple[Case, ...]:
    """What BIRD makes of each route. Raises UnavailableError when BIRD is not installed or does not get there in time,
    InvalidError when it refuses the generated filters."""
    if not puts:
        return ()
    numbers = {name: at for at, name in enumerate(n for n in filters_of(generated) if any(p.filter == n for p in puts))}
    text = configuration(generated, puts)
    for name, number in numbers.items():
        for maker in {each.maker for each in puts if each.filter == name and each.maker}:
            text = _renamed(text, name, maker, number)
    async with _running(text, clock=clock) as daemon:
        with anyio.fail_after(LIMIT_S):
            for name, number in numbers.items():
                await _fed(daemon, f"pipe_{number}", sum(each.filter == name for each in puts), clock=clock)
        taken = {name: await _routes(daemon, f"after_{number}") for name, number in numbers.items()}
    return tuple(Case(p.filter, p.route, p.what, p.is_wanted, p.route in taken[p.filter]) for p in puts)


def _renamed(text: str, name: str, maker: str, number: int) -> str:
    """The filter `name` with the trial's protocol where it looks for `maker`."""
    found = filters_of(text)[name]
    return text.replace(found, found.replace(f'"{maker}"', f'"{_maker(maker, number)}"'))


async def _fed(daemon: bird.Bird, pipe: str, count: int, *, clock: Clock) -> None:
    """Wait until the pipe has judged so many routes."""
    while True:
        stats = STATS.search(await daemon.ask(f"show protocols all {pipe}"))
        if stats is not None and int(stats[1]) >= count:
            return
        await clock.sleep(0.02)


async def _routes(daemon: bird.Bird, table: str) -> set[str]:
    said = await daemon.ask(f"show route table {table}")
    return {words[0] for line in said.splitlines() if (words := line.split()) and "/" in words[0]}


async def _answers(daemon: bird.Bird) -> bool:
    try:
        await daemon.version()
    except UnavailableError:
        return False
    return True


@asynccontextmanager
async def _running(text: str, *, clock: Clock) -> AsyncIterator[bird.Bird]:
    """A daemon of this trial, ended by its own process; its files are gone afterwards."""
    program = next((found for each in bird.PROGRAMS if (found := shutil.which(each))), None)
    if program is None:
        raise UnavailableError("BIRD is not installed (apt install bird2)", program="bird")
    folder = Path(tempfile.mkdtemp(prefix="trial"))
    started = None
    try:
        file, socket = folder / "bird.conf", folder / "b"
        file.write_text(text)
        await bird.check(file)
        argv = [program, "-f", "-c", str(file), "-s", str(socket), "-P", str(folder / "pid")]
        started = await anyio.open_process(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        async with bird.Bird(socket) as daemon:
            with anyio.fail_after(LIMIT_S):
                while not await _answers(daemon):
                    if started.returncode is not None:
                        raise UnavailableError("BIRD ended before the trial began", program="bird")
                    await clock.sleep(0.01)
            yield daemon
    except TimeoutError as cause:
        raise UnavailableError(f"the trial of the filters was not over within {LIMIT_S:.0f} s") from cause
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(10):
            if started is not None and started.returncode is None:
                started.kill()
                await started.wait()
        shutil.rmtree(folder, ignore_errors=True)
