"""The steps of a migration, one function each: what is checked before, what is done, what must be seen, what undoes it.

Every one may run again after a crash. The gate takes back first and reports after: between a route that is lost and the
withdrawal that brings the old origin back there is one look and one `configure`, and no write to the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from havre.base.errors import ConflictError, HavreError, NotFoundError, UnavailableError
from havre.kernel.clock import Clock
from havre.kernel.operations import Operations
from havre.kernel.store import Store
from havre.network import decide, evidence, tables
from havre.network import intent as intents
from havre.network.act import Edges, Historical
from havre.network.decide import Stage, State
from havre.network.judge import Wanted, judge
from havre.network.model import Family, Intent, Upstream
from havre.network.preflight import Finding
from havre.network.probes.keeper import STREAMS
from havre.network.sight import Sight

FAST_S = 3.0  # looked at as often as can be for so long after something was done
PROBES_ANSWERED = 0.9
ANY_LOSS = 10**9
PROPAGATION_DAYS, LOOK_S = 14, 10.0
PAPER = (State.REGISTERED, State.PROPAGATED)  # stages of the registries, at which no router of ours changes


@dataclass(frozen=True)
class Work:
    """What the steps stand on. folder: versions, requests."""

    store: Store
    operations: Operations
    clock: Clock
    folder: Path

    async def read(self, id: str) -> tuple[tables.Migration, Intent]:
        """Raises NotFoundError."""
        found = await self.store.read(lambda conn: tables.migration(conn, id))
        if found is None:
            raise NotFoundError(f"there is no migration {id!r}")
        return found, intents.parse(found.intent, file=f"the intent of {id}")

    @asynccontextmanager
    async def edges(self, intent: Intent) -> AsyncIterator[Edges]:
        lists = await evidence.lists_of(intent, self.folder, clock=self.clock)  # kept on disk for an hour
        edges = Edges(intent, self.folder, self.clock, lists)
        try:
            yield edges
        finally:
            await edges.close()

    def sight(self, id: str, intent: Intent, stage: Stage) -> Sight:
        may_be_cut = stage.state is State.SHADOW  # see `_gate`
        return Sight(intent, clock=self.clock, folder=self.streams / id, may_be_cut=may_be_cut)

    @property
    def streams(self) -> Path:
        """Where our probers count, each migration's in a folder of its name."""
        return self.folder / STREAMS

    def historical(self, intent: Intent) -> Historical:
        return Historical(intent, self.folder, self.clock)

    async def note(self, id: str, stage: Stage, kind: str, words: str, **facts: Any) -> None:
        """Keep something for the proof."""
        await self.store.write(
            lambda tx: tables.add_evidence(tx, id, stage=str(stage), kind=kind, words=words, facts=facts)
        )

    # before

    async def preflight(self, id: str, name: str) -> None:
        """What must be so before anything is touched. Raises ConflictError with all that is not."""
        migration, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        lacks = await self._lacking(migration, intent, stage)
        if stage.state not in PAPER:
            async with self.edges(intent) as edges:
                texts = edges.texts(decide.posture(intent, stage))
                await edges.check(texts)
                for edge in intent.edges:
                    await edges.daemon(edge).version()  # it answers
        if lacks:
            raise ConflictError(f"{stage} is not begun: {'; '.join(lacks)}")
        await self.note(id, stage, "preflight", "nothing stands in the way")

    async def _lacking(self, migration: tables.Migration, intent: Intent, stage: Stage) -> list[str]:
        """What stands in the way of a stage, in words."""
        if intent.historical is None:
            return ["the intent has no historical provider: there is nothing to migrate from"]
        if stage.state is State.PROPAGATED:
            return []
        if stage.state not in PAPER and not intent.observers.far:
            return ["nobody looks from outside: name a looking glass in observers.looking_glasses"]
        report = evidence.sessions(intent) if stage.state is State.SHADOW else None
        lacks = [_sentence(each) for each in report.stops] if report is not None else []
        if not intent.registry.servers:
            confirmed = await self.store.read(lambda conn: tables.confirmations(conn, migration.id))
            if stage.state is State.REGISTERED and "registered" not in confirmed:
                lacks.append("nobody has said that the registries hold the new origin (confirm: registered)")
            return lacks
        if stage.state not in (State.CLEANED, State.MULTI):
            found = await evidence.registries(intent, clock=self.clock)
            await self.note(migration.id, stage, "preflight", "registries and RPKI were asked", report=str(found))
            lacks += [_sentence(each) for each in found.stops]
        return lacks

    async def propagated(self, id: str, intent: Intent, stage: Stage) -> str:
        """Wait until the filters of every upstream have the new origin: it is said by a person, or its schedule has
        passed since the registries have it. Returns who, and why."""
        deadline = self.clock.now() + PROPAGATION_DAYS * 86_400_000
        while True:
            confirmed = await self.store.read(lambda conn: tables.confirmations(conn, id))
            story = await self.store.read(lambda conn: tables.evidence(conn, id))
            since = [each.at for each in story if each.kind == "reached" and each.stage == State.REGISTERED]
            hours = (self.clock.now() - since[-1]) / 3_600_000 if since else 0.0
            known = {
                each.name: f"confirmed: {confirmed[each.name]}"
                if each.name in confirmed
                else f"its {each.wait_h:g} h have passed"
                for each in intent.upstreams
                if each.name in confirmed or (intent.registry.servers and hours >= each.wait_h)
            }
            waiting = [each for each in intent.upstreams if each.name not in known]
            if not waiting:
                return "; ".join(f"{name}: {why}" for name, why in known.items())
            if self.clock.now() > deadline:
                raise ConflictError(
                    f"{', '.join(each.name for each in waiting)} did not confirm within {PROPAGATION_DAYS} days"
                )
            left_h = max((each.wait_h - hours for each in waiting), default=0.0)
            words = f"waiting for {', '.join(each.name for each in waiting)}, at most {left_h:.1f} h"
            await self.store.write(lambda tx, words=words: tables.change(tx, id, note=words))  # type: ignore[misc]
            await self.clock.sleep(min(LOOK_S, intent.observers.poll_ms / 1000 * 10))

    # doing

    async def join(self, id: str, name: str) -> None:
        """The upstream of a MULTI stage comes up, drained: it carries nothing but probes. No other has a trial."""
        _, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        upstream = _joining(intent, stage)
        if upstream is None:
            return
        async with self.edges(intent) as edges:
            await edges.push(edges.texts(decide.posture(intent, stage, is_trial=True)), words=f"{stage}, on trial")

    async def probe(self, id: str, name: str) -> None:
        """The session is up, and packets of ours that leave through it alone are answered. Raises ConflictError."""
        _, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        upstream = _joining(intent, stage)
        if upstream is None:
            return
        await self.sessions_up(intent, upstream)
        async with Sight(intent, clock=self.clock) as sight:
            found = await sight.through(upstream)
        told = ", ".join(f"ipv{family}: {answered} of {sent} answered" for family, (sent, answered) in found.items())
        await self.note(id, stage, "probe", f"through {upstream.name} alone: {told or 'no targets'}", **_listed(found))
        bad = [family for family, (sent, answered) in found.items() if answered < sent * PROBES_ANSWERED or not sent]
        if bad:
            raise ConflictError(
                f"{upstream.name} does not carry what we send ({told}): its anti-spoofing filter may lack our prefixes"
            )

    async def sessions_up(self, intent: Intent, upstream: Upstream) -> None:
        """Wait until the sessions with a neighbour are established, and watched by BFD where that is wanted: a session
        may stand while BFD never came up, and then a cut is not seen. Raises UnavailableError."""
        deadline = self.clock.monotonic() + intent.observers.wait_s
        async with self.edges(intent) as edges:
            edge = edges.daemon(intent.edge(upstream.edge))
            names = [f"up_{upstream.name}_ipv{family}" for family in upstream.families]
            while True:
                seen = await edge.sessions()
                waiting = [each for each in names if each not in seen or not seen[each].is_established]
                watched = await edge.bfd() if upstream.bfd is not None else {}
                blind = [str(each.neighbor) for each in upstream.links if watched.get(str(each.neighbor)) != "Up"]
                if not waiting and (upstream.bfd is None or not blind):
                    return
                if self.clock.monotonic() > deadline:
                    if not waiting:
                        raise UnavailableError(
                            f"the sessions with {upstream.name} stand, but BFD with {', '.join(blind)} does not come up"
                        )
                    errors = ", ".join(
                        f"{each} ({seen[each].error or seen[each].info})" for each in waiting if each in seen
                    )
                    raise UnavailableError(f"the sessions with {upstream.name} do not come up: {errors}")
                await self.clock.sleep(0.02)

    async def switch(self, id: str, name: str) -> str:
        """Do what makes the stage, and stay until it has been well for its time. Raises ConflictError when it is not,
        and then it has been taken back already. Returns what was seen, in words."""
        _, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        async with self.edges(intent) as edges, self.sight(id, intent, stage) as sight:
            take_back = await edges.ready(self._quick(intent, stage, edges)) if stage.state not in PAPER else _nothing
            if stage.state not in PAPER:
                await edges.push(edges.texts(decide.posture(intent, stage)), words=str(stage))
            try:
                if stage.state is State.SHADOW:
                    await self._held(intent, sight)
                if stage.state is State.PROPAGATED:
                    await self.note(id, stage, "seen", await self.propagated(id, intent, stage))
                await sight.look()  # the connections are there before anything happens
                asked: list[str] = []
                told = ""
                async with anyio.create_task_group() as group:
                    # what the provider does is watched from before it is done: its answer comes after the effect
                    group.start_soon(self._ask, intent, stage, asked)
                    if stage.state in PAPER:
                        told, trouble = "", None
                    else:
                        told, trouble = await self._watched(intent, stage, sight)
                    if trouble is not None:
                        await take_back()
                if trouble is not None:
                    raise trouble
            except HavreError:
                await take_back()
                raise
            said = await sight.transcript()
        for words in asked:
            await self.note(id, stage, "asked", words)
        await self.note(id, stage, "seen", told or "as it was", **said)
        return told

    def _quick(self, intent: Intent, stage: Stage, edges: Edges) -> dict[str, str]:
        """The configurations that end what `stage` does at once: one `configure` brings them out."""
        before = decide.preceding(intent, stage)
        assert before is not None
        is_silent = stage.state is State.FLIPPED
        return edges.texts(decide.posture(intent, before, is_silent=is_silent))

    async def _ask(self, intent: Intent, stage: Stage, asked: list[str]) -> None:
        if (phase := _phase(stage)) is not None:
            asked.append(await self.historical(intent).bring_to(phase))

    async def _watched(self, intent: Intent, stage: Stage, sight: Sight) -> tuple[str, HavreError | None]:
        try:
            return await self._gate(intent, stage, sight, acted=self.clock.monotonic()), None
        except HavreError as error:
            return "", error

    async def _gate(self, intent: Intent, stage: Stage, sight: Sight, *, acted: float) -> str:
        """Look until all has been well for the soak time and the number of samples. Raises ConflictError.

        At SHADOW we only say more than before, and the provider's static route does not hang on it: when nothing is
        seen any more it was the provider that withdrew too early, and what we announce is the cure.
        """
        observers = intent.observers
        wanted = wanted_at(intent, stage)
        waits_for_people = _phase(stage) is not None and not self.historical(intent).is_managed
        limit = acted + (14 * 86400 if waits_for_people else observers.wait_s) + observers.soak_s
        since, samples, looks = 0.0, 0, 0
        while True:
            seen = await sight.look()
            verdict = judge(seen, wanted)
            now = self.clock.monotonic()
            looks += 1
            if verdict.word == "failed" and stage.state is not State.SHADOW:
                raise ConflictError(f"{stage} is taken back: {verdict.why}")
            if verdict.word == "well":
                since, samples = since or now, samples + 1
                if now - since >= observers.soak_s and samples >= observers.samples:
                    lost = ", ".join(f"{name} {count}" for name, count in sorted(seen.lost.items()))
                    packets = f"; packets lost since it began: {lost}" if lost else ""
                    return f"well for {now - since:.1f} s in {samples} looks of {looks}{packets}"
            else:
                since, samples = 0.0, 0
                if now > limit:
                    raise ConflictError(f"{stage} is taken back, it was waited for long enough: {verdict.why}")
            await self.clock.sleep(0.001 if now - acted < FAST_S else observers.poll_ms / 1000)

    async def _held(self, intent: Intent, sight: Sight) -> None:
        """The historical provider holds our route, below its own static one. Raises ConflictError when not."""
        hp = intent.historical
        assert hp is not None
        await self.sessions_up(intent, hp)
        glass = intent.observers.at(hp.name)
        if glass is None:
            return
        deadline = self.clock.monotonic() + min(10.0, intent.observers.wait_s)
        while True:
            found = await sight.routes_at(glass)
            lacking = [
                prefix for prefix, routes in found.items() if not any(each.origin == intent.asn for each in routes)
            ]
            if not lacking:
                return
            if self.clock.monotonic() > deadline:
                raise ConflictError(
                    f"{hp.name} does not take {', '.join(lacking)} from us: its filter lacks origin AS{intent.asn}"
                )
            await self.clock.sleep(0.05)

    # back

    async def undo_switch(self, id: str, name: str) -> None:
        """Bring the preceding stage back: the historical provider first where the flip is taken back, and our
        announcement to it again once its static route serves."""
        _, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        before = decide.preceding(intent, stage)
        assert before is not None
        if stage.state in PAPER:
            return
        async with self.edges(intent) as edges:
            if stage.state is State.FLIPPED:
                await edges.push(self._quick(intent, stage, edges), words=f"{stage} taken back: silent")
                words = await self.historical(intent).bring_to(0)
                await self.note(id, stage, "asked", words)
                if not self.historical(intent).is_managed:
                    await self.store.write(lambda tx: tables.change(tx, id, is_silent=True))
                    return
                await self._old_origin(intent)
            elif stage.state is State.CLEANED:
                await self.historical(intent).bring_to(2)
            await edges.push(edges.texts(decide.posture(intent, before)), words=f"{before}, after {stage}")

    async def _old_origin(self, intent: Intent) -> None:
        """Wait, for a while, until the old origin is seen far away: the static route of the provider serves again."""
        deadline = self.clock.monotonic() + min(10.0, intent.observers.wait_s)
        wanted = wanted_at(intent, Stage(State.PROPAGATED))
        async with Sight(intent, clock=self.clock) as sight:
            while self.clock.monotonic() < deadline:
                if judge(await sight.look(), wanted).word == "well":
                    return
                await self.clock.sleep(0.01)

    async def retreat(self, id: str, name: str) -> str:
        """From `stage` to the one before, in good order: drained first, then left. Returns what was seen."""
        _, intent = await self.read(id)
        stage = decide.stage_named(intent, name)
        before = decide.preceding(intent, stage)
        assert before is not None
        async with self.edges(intent) as edges:
            if stage.state is State.MULTI:
                await edges.push(edges.texts(decide.posture(intent, stage, is_trial=True)), words=f"{stage}, drained")
                await self.clock.sleep(1.0)
            if stage.state is State.FLIPPED and self.historical(intent).is_managed:
                await self.historical(intent).bring_to(0)
                await self._old_origin(intent)
                await edges.push(edges.texts(decide.posture(intent, before)), words=str(before))
            else:
                await self.undo_switch(id, name)
        async with Sight(intent, clock=self.clock) as sight:
            said = await sight.transcript()
        await self.note(id, before, "seen", f"back from {stage}", **said)
        return f"back at {before}"


def _joining(intent: Intent, stage: Stage) -> Upstream | None:
    """The upstream that joins at a stage."""
    return decide.joiners(intent)[stage.joined - 1] if stage.state is State.MULTI else None


def wanted_at(intent: Intent, stage: Stage) -> Wanted:
    """Who may originate our prefixes while `stage` is made, and who has to when it is reached."""
    order = list(decide.stages(intent))
    is_flipped = order.index(stage) >= order.index(Stage(State.FLIPPED))
    may: dict[str, frozenset[int]] = {}
    must: dict[str, frozenset[int]] = {}
    for own in intent.prefixes:
        old = own.old_origin if own.old_origin is not None else intent.asn
        both = stage.state in (State.FLIPPED, State.SHADOW, State.DRAFT, State.REGISTERED, State.PROPAGATED)
        may[str(own.prefix)] = frozenset({old, intent.asn} if both else {intent.asn})
        must[str(own.prefix)] = frozenset({intent.asn} if is_flipped else {old})
        if stage.state is State.SHADOW:
            must[str(own.prefix)] = frozenset({old, intent.asn})
    return Wanted(may, must, tolerated=ANY_LOSS if stage.state is State.SHADOW else Wanted.tolerated)


def _phase(stage: Stage) -> int | None:
    """What the historical provider has to do for a stage."""
    return {State.FLIPPED: 2, State.CLEANED: 3}.get(stage.state)


def _listed(found: dict[Family, tuple[int, int]]) -> dict[str, Any]:
    return {f"ipv{family}": {"sent": sent, "answered": answered} for family, (sent, answered) in found.items()}


def _sentence(each: Finding) -> str:
    """A finding that stops us, with what to do."""
    return f"{each.subject}: {each.evidence}" + (f" ({each.advice})" if each.advice else "")


async def _nothing() -> None:
    """Where no router was touched there is nothing to take back."""
