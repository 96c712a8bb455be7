"""Runs a scenario in a lab of its own, and says what became of every packet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import sqlalchemy as sa

from havre.base.errors import UnavailableError
from havre.kernel.clock import Clock
from havre.kernel.store import Store
from havre.network import controller, decide, engines, tables
from havre.network.lab.acts import Acts
from havre.network.lab.build import Lab
from havre.network.lab.outcome import Outcome, unexpected
from havre.network.lab.scenario import Act, Scenario
from havre.network.model import UpstreamKind
from havre.network.probes import streams

ID = "lab"
ARROW_S = 60.0  # for one arrow of a migration, with all its waits
AFTER_S = 0.4  # until what is under way has arrived


async def run(content: str, scenario: Scenario, *, clock: Clock, file: str) -> Outcome:
    """Build the world, play the scenario, take it all away. Raises UnavailableError when the lab cannot be."""
    began = clock.monotonic()
    async with Lab.prepare(content, scenario.world, clock=clock, file=file) as lab:
        is_settled = scenario.start == "CLEANED"
        stage = decide.stages(lab.intent)[-1 if is_settled else 0]
        await lab.start_registries()
        await lab.start_daemons(decide.posture(lab.intent, stage), phase=3 if is_settled else 0)
        for name in scenario.world.anti_spoof_lacks_us:
            own = {family: str(lab.intent.own(family)[0].prefix) for family in (4, 6)}
            rules = f'iifname "cust" ip saddr {own[4]} drop\niifname "cust" ip6 saddr {own[6]} drop\n'
            chain = f"type filter hook forward priority 0; policy accept;\n{rules}"
            table = f"table inet spoof {{\nchain forward {{\n{chain}}}\n}}\n"
            lab.spaces.run(name, "nft", "-f", "-", given=table)
        lab.start_probes()
        await lab.wait_for_packets()
        play = _Play(lab, scenario, clock)
        if is_settled:
            await play.everything_is_up()
        opened = streams.open_all(lab.folder)
        first = {each.name: each.sent + 1 for each in opened}
        try:
            for act in scenario.acts:
                await play.act(act)
            (lab.folder / "stop").touch()
            await clock.sleep(AFTER_S)
            counted = tuple(each.count(first[each.name], each.sent) for each in opened)
        finally:
            await play.end()
            for each in opened:
                each.close()
        reached = await play.reached()
        wrong = unexpected(scenario, counted, reached)
        took, proof, remarks = clock.monotonic() - began, await play.proof(), tuple(lab.made.remarks)
        return Outcome(scenario, counted, play.states, play.note, wrong, took, proof=proof, remarks=remarks)


@dataclass
class _Play(Acts):
    """One scenario under way."""

    states: tuple[str, ...] = ()
    kills_every_stage: bool = False
    _process: subprocess.Popen[str] | None = None
    _store: Store | None = None
    _requests_done: set[str] = field(default_factory=set)

    async def act(self, act: Act) -> None:
        handler = cast("Callable[[Any], Awaitable[None]]", getattr(self, f"_{act.what}"))
        await handler(act.with_)

    # the migration

    async def _migrate(self, goal: object) -> None:
        await self._controller()
        before = await self._migration()
        moment = before.changed_at if before else 0
        if before is None:
            content = (self.lab.folder / "intent.yaml").read_text()
            self._say(do="begin", id=ID, content=content, goal=str(goal), is_paused=True)
            for what in (each.name for each in self.lab.intent.upstreams):
                self._say(do="confirm", id=ID, what=what, words="the lab's")
            self._say(do="resume", id=ID)
        else:
            self._say(do="resume", id=ID, goal=str(goal))
        await self._until(lambda found: not found.is_paused or found.changed_at > moment > 0, kills=False)
        await self._until(lambda found: found.stage == str(goal) or found.is_paused)

    async def _until(self, is_over: Callable[[tables.Migration], bool], *, kills: bool = True) -> None:
        """Follow the migration until it is over, killing the controller on the way where the scenario wants it."""
        deadline, last, killed = self.clock.monotonic() + ARROW_S, "", ""
        while True:
            found = await self._migration()
            if found is not None:
                if found.stage != last:
                    last, deadline = found.stage, self.clock.monotonic() + ARROW_S
                    if self.kills_every_stage and kills:
                        await self._kill_controller("now")
                step = await self._step() if self.kills_every_stage and kills else ""
                if step and step != killed:
                    killed = step
                    await self.clock.sleep(0.2)
                    await self._kill_controller("now")
                if is_over(found) and (not kills or not await self._is_under_way()):
                    self.note = found.note
                    return
            if self.clock.monotonic() > deadline:
                raise UnavailableError(f"the migration hangs at {last or 'its beginning'}: {self._words()}")
            self._play_person()
            await self.clock.sleep(0.02)

    def _play_person(self) -> None:
        """Somebody at the historical provider who does what is asked, after a while."""
        for file in (self.lab.folder / "requests").glob("phase-*.md"):
            text = file.read_text()
            age_s = self.clock.now() / 1000 - file.stat().st_mtime
            if text in self._requests_done or age_s < self.scenario.world.hp_person_s:
                continue
            self._requests_done.add(text)
            snippet = text.partition("```\n")[2].partition("```")[0]
            (self.lab.folder / "hp-phase.conf").write_text(snippet)
            hp = self.lab.intent.historical
            assert hp is not None
            subprocess.run(
                ["birdc", "-s", f"{self.lab.folder}/{hp.name}.ctl", "configure"],
                env=self.lab.environment, capture_output=True, timeout=20,
            )  # fmt: skip

    async def _revert(self, _: object) -> None:
        before = await self._migration()
        self._say(do="revert", id=ID)
        stage = before.stage if before else ""
        await self._until(lambda found: found.is_paused and found.stage != stage)

    async def _kill_controller(self, when: object) -> None:
        if when == "every_stage":
            self.kills_every_stage = True
            return
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
        await self._controller()

    async def _controller(self) -> None:
        if self._process is not None:
            return
        argv = [sys.executable, "-m", "havre.network.controller", str(self.lab.folder)]
        self._process = _started(self.lab.spaces.command("cust", argv), self.lab)
        deadline = self.clock.monotonic() + ARROW_S
        while self._store is None and self.clock.monotonic() < deadline:
            await self.clock.sleep(0.05)
            if (self.lab.folder / "network.db").exists():
                store = controller.open_store(self.lab.folder)
                try:
                    await store.read(tables.migrations)
                    self._store = store
                except sa.exc.OperationalError:  # its tables are not made yet
                    store.close()

    def _say(self, **asked: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    async def _migration(self) -> tables.Migration | None:
        return await self._store.read(lambda conn: tables.migration(conn, ID)) if self._store is not None else None

    async def _step(self) -> str:
        """The arrow's main step that is under way, with the stage it leads to; empty for none."""
        found = await self._live()
        return f"{found['id']}" if found and found["step"] in ("switch", "leave") else ""

    async def _is_under_way(self) -> bool:
        return await self._live() is not None

    async def _live(self) -> Mapping[str, Any] | None:
        import sqlalchemy as sa

        def read(conn: sa.Connection) -> Mapping[str, Any] | None:
            row = conn.execute(sa.text("select id, step from op where status in ('running', 'undoing')")).first()
            return dict(row._mapping) if row is not None else None

        return await self._store.read(read) if self._store is not None else None

    async def reached(self) -> str:
        found = await self._migration()
        if self._store is not None:
            story = await self._store.read(lambda conn: tables.evidence(conn, ID))
            names = {"reached": "", "taken_back": " taken back"}
            self.states = ("DRAFT", *(f"{each.stage}{names[each.kind]}" for each in story if each.kind in names))
        else:
            self.states = (self.scenario.start,)
        stage = found.stage if found is not None else self.scenario.start
        if self._store is not None:
            self._proof = await self._story()
            self._store.close()
        return stage

    _proof: str = ""

    async def _story(self) -> str:
        assert self._store is not None
        return await self._store.read(lambda conn: proof(conn, ID))

    async def proof(self) -> str:
        return self._proof

    async def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _words(self) -> str:
        log = self.lab.folder / "controller.log"
        return log.read_text(errors="replace")[-1500:] if log.exists() else ""


def _started(argv: Sequence[str], lab: Lab) -> subprocess.Popen[str]:
    with open(lab.folder / "controller.log", "ab") as out:
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=out, text=True, env=lab.environment)


def proof(conn: Any, id: str) -> str:
    """The proof file of a migration: what was seen and done, when, in the observers' own words."""
    from havre.network.proof import text

    found = tables.migration(conn, id)
    return text(found, tables.evidence(conn, id)) if found is not None else ""


__all__ = ["Outcome", "UpstreamKind", "engines", "proof", "run"]
