"""Looks from outside: what looking glasses see of our prefixes, and what became of the probers' packets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType

import anyio

from havre.base.errors import HavreError, UnavailableError
from havre.drivers.bird import Bird, Route
from havre.drivers.glass import Glass
from havre.kernel.clock import Clock
from havre.network.engines.facts import probe_table
from havre.network.judge import Seen
from havre.network.model import FAMILIES, Edge, Family, Intent, LookingGlass, Upstream, family_of
from havre.network.probes import prober, streams

LATE_NS = 250_000_000  # what has not arrived so long after it was sent counts as lost
PROBE = Path(prober.__file__)
PROBES = 25
LIMIT_S = 10.0
PROBERS_S = 30.0  # until those of ours have started
MOST_WORDS = 20_000  # of one looking glass in the proof


class Sight:
    """The observers of an intent. Use `async with`; looking glasses keep their connections. folder: where probers of
    ours count, for an intent that names some; has_packets: whether streams are looked at; may_be_cut: it is not waited
    for packets that arrive, only for who sends them: what is about to be done may be the cure."""

    def __init__(
        self,
        intent: Intent,
        *,
        clock: Clock,
        folder: Path | None = None,
        has_packets: bool = True,
        may_be_cut: bool = False,
    ) -> None:
        self.intent, self._clock = intent, clock
        self._is_ready = streams.is_sent if may_be_cut else streams.is_flowing
        self._glasses = {each.name: _glass(each, clock) for each in intent.observers.looking_glasses}
        observers = intent.observers
        place = Path(observers.streams) if observers.streams else folder if observers.inside else None
        self._folder = place if has_packets else None
        self._streams: tuple[streams.Stream, ...] = ()
        self._from: dict[str, int] = {}
        self._lost: dict[str, int] = {}

    async def __aenter__(self) -> Sight:
        if self._folder is not None:
            deadline = self._clock.monotonic() + PROBERS_S
            while not all(self._is_ready(self._folder, each) for each in streams.NAMES):
                if self._clock.monotonic() > deadline:
                    raise UnavailableError(
                        f"no packets flow between the probers: look at {self._folder} and at their addresses"
                    )
                await self._clock.sleep(0.05)
            self._open(self._folder)
            self._lost = dict.fromkeys(self._from, 0)
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in self._streams:
            stream.close()
        for glass in self._glasses.values():
            await glass.close()

    def _open(self, folder: Path) -> None:
        for stream in self._streams:
            stream.close()
        self._streams = streams.open_all(folder)
        self._from = {each.name: each.sent + 1 for each in self._streams}

    async def look(self) -> Seen:
        """What is so at this moment, far away."""
        origins: dict[tuple[str, str], int | None] = {}
        silent = set()
        for glass in self.intent.observers.far:
            for own in self.intent.prefixes:
                prefix = str(own.prefix)
                try:
                    routes = await self._glasses[glass.name].routes(prefix, options="primary")
                except HavreError:
                    silent.add(glass.name)
                    break
                origins[glass.name, prefix] = (routes[0].origin or 0) if routes else None
                for other in {each.origin for each in routes[1:]} - {each.origin for each in routes[:1]}:
                    origins[f"{glass.name} (some of its routers)", prefix] = other or 0
        lost, quiet = self._packets()
        return Seen(origins, frozenset(silent | quiet), lost)

    def _packets(self) -> tuple[dict[str, int], set[str]]:
        """What has been lost since the beginning, and the streams that say nothing now."""
        now = int(self._clock.monotonic() * 1e9)
        quiet = {f"the stream {each.name}" for each in self._streams if each.is_silent(now_ns=now)}
        if quiet and self._folder is not None and all(each.is_replaced for each in self._streams):
            self._open(self._folder)  # what they count from now on
        swept = {each.name: each.swept_ns for each in self._streams}
        for stream in self._streams:
            before_ns = swept[streams.other_way(stream.name)] - LATE_NS  # as who receives it knows
            lost, self._from[stream.name] = stream.lost_since(self._from[stream.name], before_ns=before_ns)
            self._lost[stream.name] += lost
        return dict(self._lost), quiet

    async def routes_at(self, glass: LookingGlass) -> dict[str, tuple[Route, ...]]:
        """All routes to our prefixes that one looking glass holds."""
        return {
            str(own.prefix): await self._glasses[glass.name].routes(str(own.prefix)) for own in self.intent.prefixes
        }

    async def transcript(self) -> dict[str, str]:
        """What each looking glass says in its own words, for the proof."""
        said = {}
        for glass in self.intent.observers.looking_glasses:
            for own in self.intent.prefixes:
                prefix = str(own.prefix)
                asked = self._glasses[glass.name]
                try:
                    told = asked.ask(f"show route {own.prefix} all") if isinstance(asked, Bird) else asked.words(prefix)
                    said[f"{glass.name}: show route {own.prefix}"] = (await told)[:MOST_WORDS]
                except HavreError as error:
                    said[f"{glass.name}: show route {own.prefix}"] = error.message
        return said

    async def through(self, upstream: Upstream) -> dict[Family, tuple[int, int]]:
        """Probes of our own addresses that leave through one neighbour alone: (sent, answered) by family. Raises
        UnavailableError, also where the edge would send them elsewhere."""
        edge = self.intent.edge(upstream.edge)
        found: dict[Family, tuple[int, int]] = {}
        for family in FAMILIES:
            target = next((each for each in self.intent.observers.targets if family_of(each) == family), None)
            source = edge.probe(family)
            if target is not None and source is not None and upstream.link(family) is not None:
                mark = str(probe_table(self.intent, upstream.name))
                found[family] = await _bound(edge, mark, str(source), str(target))
        return found


def _glass(glass: LookingGlass, clock: Clock) -> Bird | Glass:
    if glass.url:
        return Glass(glass.url, clock, every_s=glass.every_s)
    return Bird(Path(glass.socket), limit_s=5)


async def _bound(edge: Edge, mark: str, source: str, target: str) -> tuple[int, int]:
    way = await _said(
        edge, ["ip", "-6" if ":" in target else "-4", "route", "get", target, "from", source, "mark", mark]
    )
    if f"table {mark}" not in way:  # they would leave by whatever is preferred, and prove nothing
        raise UnavailableError(f"{edge.name} has no rule for its probes: ip rule add fwmark {mark} lookup {mark}")
    argv = [sys.executable, "-I", "-S", str(PROBE), "bound", mark, source, target, str(PROBES)]
    said = json.loads(await _said(edge, argv))
    return said["sent"], said["answered"]


async def _said(edge: Edge, argv: list[str]) -> str:
    inside = ["ip", "netns", "exec", edge.namespace] if edge.namespace else []
    with anyio.fail_after(LIMIT_S):
        done = await anyio.run_process([*inside, *argv], check=False)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()[-300:]
        raise UnavailableError(f"probes of {edge.name} cannot be sent: {words}")
    return done.stdout.decode()
