"""Brings configurations to the edges: read by the daemon's own parser first, kept as numbered versions, one turn at a
time where sessions start again; and speaks to the historical provider where it lets us."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from havre.base.errors import HavreError, InvalidError, NotFoundError, UnavailableError
from havre.drivers import bird, frr
from havre.drivers.disk.whole import write_whole
from havre.kernel.clock import Clock
from havre.network import changes, engines
from havre.network.decide import Posture
from havre.network.engines import FilterLists
from havre.network.model import FAMILIES, Edge, Intent

SETTLE_S = 90.0  # until a session that started again is there


@dataclass
class Edges:
    """Our edges. folder: where versions are kept; lists: the prefixes of peers. Use `close` at the end."""

    intent: Intent
    folder: Path
    clock: Clock
    lists: FilterLists = field(default_factory=dict)
    _daemons: dict[str, bird.Bird | frr.Frr] = field(default_factory=dict)

    def daemon(self, edge: Edge) -> bird.Bird | frr.Frr:
        """The driver of an edge's engine, with its connection kept."""
        if edge.name not in self._daemons:
            kind = frr.Frr if edge.engine == "frr" else bird.Bird
            self._daemons[edge.name] = kind(Path(edge.socket))
        return self._daemons[edge.name]

    async def close(self) -> None:
        for each in self._daemons.values():
            await each.close()

    def texts(self, posture: Posture, lists: FilterLists | None = None) -> dict[str, str]:
        """The configuration of each edge for a posture."""
        return {
            each.name: engines.render(self.intent, each, posture, self.lists if lists is None else lists)
            for each in self.intent.edges
        }

    def present(self) -> dict[str, str]:
        """What stands in the edges' files now; empty for an edge that has none."""
        found = {}
        for edge in self.intent.edges:
            try:
                found[edge.name] = Path(edge.config).read_text()
            except FileNotFoundError:
                found[edge.name] = ""
        return found

    async def check(self, texts: Mapping[str, str]) -> None:
        """Have the daemons' own parser read every text. Raises InvalidError, naming the edge."""
        scratch = self.folder / "checked"
        scratch.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            file = scratch / f"{name}.conf"
            file.write_text(text)
            try:
                await (frr if self.intent.edge(name).engine == "frr" else bird).check(file)
            except InvalidError as cause:
                raise InvalidError(f"{name}: {cause.message}", edge=name) from cause

    async def push(self, texts: Mapping[str, str], *, words: str) -> int:
        """Check, keep as a version, and bring out, turn by turn. What is there already is not touched. When a turn
        fails what was there before is put back. Returns the version's number; 0 when nothing differed."""
        before = self.present()
        turns = changes.rollout(before, texts)
        if not turns:
            await self.put(texts)  # a daemon may not have read its file yet
            return 0
        await self.check(texts)
        self._keep_first(before)
        version, now = self.keep(texts, words=words), dict(before)
        try:
            for turn in turns:
                await self.put(turn)
                restarted = {name: changes.change_of(name, now[name], text).restarted for name, text in turn.items()}
                await self._settled(restarted)
                now |= turn
        except HavreError:
            await self.put({name: text for name, text in before.items() if text and name in texts})
            raise
        return version

    async def put(self, texts: Mapping[str, str]) -> None:
        """Bring checked texts out at once. Idempotent."""
        for name, text in texts.items():
            edge = self.intent.edge(name)
            write_whole(Path(edge.config), text, like=Path(edge.config), sync=True)
            await self.daemon(edge).configure(Path(edge.config))

    async def ready(self, texts: Mapping[str, str]) -> Callable[[], Awaitable[None]]:
        """Check texts and lay them ready. What is returned brings them out with one word to each daemon that differs,
        and nothing else: no file is written then. The files follow with the next `push`."""
        await self.check(texts)
        places = {}
        for name, text in texts.items():
            config = Path(self.intent.edge(name).config)
            places[name] = config.with_name(f"{config.stem}.ready{config.suffix}")  # where the daemon may read
            write_whole(places[name], text, like=config, sync=True)
            await self.daemon(self.intent.edge(name)).version()  # the connection is there

        async def bring_out() -> None:
            before = self.present()
            for name, text in texts.items():
                if before[name] != text:
                    await self.daemon(self.intent.edge(name)).configure(places[name])

        return bring_out

    async def _settled(self, restarted: Mapping[str, Collection[str]]) -> None:
        """Wait until the sessions that start again, by edge, are there again."""
        deadline = self.clock.monotonic() + SETTLE_S
        while True:
            waiting = []
            for name, sessions in restarted.items():
                seen = await self.daemon(self.intent.edge(name)).sessions() if sessions else {}
                waiting += [each for each in sessions if each not in seen or not seen[each].is_established]
            if not waiting:
                return
            if self.clock.monotonic() > deadline:
                raise UnavailableError(f"{', '.join(waiting)} did not come back within {SETTLE_S:.0f} s")
            await self.clock.sleep(0.05)

    # versions

    def _keep_first(self, before: Mapping[str, str]) -> None:
        if not self.versions() and any(before.values()):
            self.keep(before, words="what was there before Havre")

    def keep(self, texts: Mapping[str, str], *, words: str) -> int:
        """Write a version down; returns its number."""
        number = max(self.versions(), default=0) + 1
        place = self.folder / "versions" / f"{number:04d}"
        place.mkdir(parents=True, exist_ok=True)
        for name, text in {**self._newest(number - 1), **texts}.items():
            write_whole(place / f"{name}.conf", text, sync=True)
        about = {"number": number, "words": words, "at": self.clock.now()}
        write_whole(place / "about.json", json.dumps(about), sync=True)
        return number

    def versions(self) -> dict[int, str]:
        """The numbers of what was brought out, with their words, oldest first."""
        found = {}
        for about in sorted((self.folder / "versions").glob("*/about.json")):
            told = json.loads(about.read_text())
            found[int(told["number"])] = str(told["words"])
        return found

    def version(self, number: int) -> dict[str, str]:
        """The texts of a version. Raises NotFoundError."""
        if number not in self.versions():
            raise NotFoundError(
                f"there is no version {number}; there is {', '.join(map(str, self.versions())) or 'none'}"
            )
        return self._newest(number)

    def _newest(self, number: int) -> dict[str, str]:
        place = self.folder / "versions" / f"{number:04d}"
        return {each.stem: each.read_text() for each in sorted(place.glob("*.conf"))}


def phase_text(intent: Intent, phase: int) -> str:
    """What a historical provider's BIRD says of our prefixes: in phase 0 its static route wins, in 2 our BGP route wins
    and the static one is the net below it, in 3 the static one is gone."""
    hp = intent.historical
    assert hp is not None
    lines = [f"# phase {phase}"]
    for family in FAMILIES:
        link = hp.link(family)
        if link is None or phase == 3:
            continue
        routes = " ".join(f"route {each.prefix} via {link.local};" for each in intent.own(family))
        preference = 50 if phase == 2 else 200
        lines.append(f"protocol static cust_ipv{family} {{ ipv{family} {{ preference {preference}; }}; {routes} }}")
    return "\n".join(lines) + "\n"


REQUESTS = {
    0: ("prefer your static route again", "the static route to us has the preference over what we announce over BGP"),
    2: (
        "prefer our BGP route, keep the static",
        "our BGP route has the preference, and the static route stays as the net below it",
    ),
    3: ("remove the static route", "our prefixes reach you over BGP alone"),
}


@dataclass
class Historical:
    """The historical provider: configured where it lets us, asked where not."""

    intent: Intent
    folder: Path
    clock: Clock

    @property
    def is_managed(self) -> bool:
        hp = self.intent.historical
        return hp is not None and bool(hp.managed_socket and hp.managed_file)

    async def bring_to(self, phase: int) -> str:
        """Configure it, or write the request down. Idempotent. Returns what was done, in words."""
        hp = self.intent.historical
        assert hp is not None
        if self.is_managed:
            managed = Path(hp.managed_file)
            write_whole(managed, phase_text(self.intent, phase), like=managed, sync=True)
            async with bird.Bird(Path(hp.managed_socket)) as theirs:
                await theirs.configure()
            return f"{hp.name}: {REQUESTS[phase][0]} (configured)"
        file = self.folder / "requests" / f"phase-{phase}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, request(self.intent, phase), sync=True)
        return f"{hp.name} is asked to {REQUESTS[phase][0]}: {file.name}"


def request(intent: Intent, phase: int) -> str:
    """The document that a provider is sent: what we ask for, what it means in BIRD, how both sides see it done."""
    hp = intent.historical
    assert hp is not None
    words, meaning = REQUESTS[phase]
    prefixes = "\n".join(f"- {each.prefix}" for each in intent.prefixes)
    links = "\n".join(f"- {each.neighbor} (yours) to {each.local} (ours)" for each in hp.links)
    watched = ", ".join(each.name for each in intent.observers.far) or "public looking glasses"
    who = f" ({intent.registry.contact})" if intent.registry.contact else ""
    return (
        f"# AS{intent.asn} to AS{hp.asn}: {words}\n\nPhase {phase}.\n\n"
        f"Please {words}: {meaning}. It concerns\n\n{prefixes}\n\nover the sessions\n\n{links}\n\n"
        f"Please do not withdraw anything at any moment: the new preference alone moves the traffic, without a gap.\n"
        f"In the words of BIRD 2:\n\n```\n{phase_text(intent, phase)}```\n\n"
        f"We watch {watched} and tell you what we see{who}.\n"
    )
