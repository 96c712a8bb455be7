"""What a scenario does to the world and to our edges, where nothing migrates: one method for each act."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.bird import Bird
from havre.kernel.clock import Clock
from havre.network.act import Edges, phase_text
from havre.network.decide import Posture, Tie
from havre.network.engines.bird import session
from havre.network.lab.build import Lab
from havre.network.lab.scenario import Scenario
from havre.network.lab.world import REMOTE_NET
from havre.network.model import Intent

UP_S = 60.0  # until every session stands
USED_S = 120.0
NFT_DROP = "table inet lab {\nchain forward {\ntype filter hook forward priority 0; policy accept;\ndrop\n}\n}\n"


@dataclass
class Acts:
    """The acts on one lab. note: what one of them found, in words."""

    lab: Lab
    scenario: Scenario
    clock: Clock
    note: str = ""

    async def everything_is_up(self) -> None:
        """Wait until every session stands and the far router has each way in."""
        deadline = self.clock.monotonic() + UP_S
        intent = self.lab.intent
        inet = self.lab.bird("inet")
        while True:
            ways = [len(await inet.routes(str(own.prefix))) for own in intent.prefixes]
            watched = await self._unwatched()
            if all(each == len(intent.upstreams) for each in ways) and not watched:
                await inet.close()
                await self.clock.sleep(1.0)
                return
            if self.clock.monotonic() > deadline:
                text = f"the far router has {ways} ways in; without BFD: {', '.join(watched) or 'none'}"
                raise UnavailableError(f"the lab's sessions do not come up: {text}")
            await self.clock.sleep(0.1)

    async def _unwatched(self) -> list[str]:
        """The neighbours whose BFD is wanted and not up."""
        found = []
        for edge in self.lab.intent.edges:
            async with self.lab.bird(edge.name) as daemon:
                seen = await daemon.bfd()
            for upstream in self.lab.intent.upstreams_of(edge.name):
                if upstream.bfd is not None:
                    found += [str(each.neighbor) for each in upstream.links if seen.get(str(each.neighbor)) != "Up"]
        return found

    async def _wait(self, seconds: object) -> None:
        await self.clock.sleep(float(str(seconds)))

    async def _cut(self, asked: Any) -> None:
        link, how = _link(asked)
        if how == "silent":
            self.lab.spaces.batch("sw", [f"link set dev b_{link} nomaster"])
        elif how == "carrier":
            self.lab.spaces.batch("sw", [f"link set dev a_{link} down", f"link set dev b_{link} down"])
        elif how == "ours":
            self.lab.spaces.batch(self.lab.intent.upstream(link).edge, [f"link set dev up_{link} down"])
        else:
            self.lab.spaces.batch("inet", [f"link set dev {link} down"])

    async def _mend(self, asked: Any) -> None:
        link, _ = _link(asked if isinstance(asked, dict) else {"link": asked})
        self.lab.spaces.batch(
            "sw", [f"link set dev {end}_{link} up" for end in "ab"] + [f"link set dev b_{link} master br_{link}"]
        )
        self.lab.spaces.batch("inet", [f"link set dev {link} up"])
        self.lab.spaces.batch(self.lab.intent.upstream(link).edge, [f"link set dev up_{link} up"])

    def _edge_bird(self, upstream: str) -> Bird:
        return self.lab.bird(self.lab.intent.upstream(upstream).edge)

    async def _sessions(self, upstream: object, word: str) -> None:
        async with self._edge_bird(str(upstream)) as edge:
            for family in self.lab.intent.upstream(str(upstream)).families:
                await edge.ask(f'{word} "up_{upstream}_ipv{family}"')

    async def _disable(self, upstream: object) -> None:
        await self._sessions(upstream, "disable")

    async def _enable(self, upstream: object) -> None:
        await self._sessions(upstream, "enable")

    async def _restart(self, upstream: object) -> None:
        await self._sessions(upstream, "restart")

    async def _drain(self, upstream: object) -> None:
        await self._push(self._posture(drained=str(upstream)))
        await self.clock.sleep(1.0)
        await self._sessions(upstream, "disable")

    async def _steer_away(self, upstream: object) -> None:
        await self._push(self._posture(drained=str(upstream)))

    async def _configure(self, times: object) -> None:
        last = self.lab.intent.upstreams[-1].name
        for number in range(int(str(times))):
            await self._push(self._posture(drained=last if number % 2 == 0 else ""))
            await self.clock.sleep(0.3)

    async def _hold_time(self, seconds: object) -> None:
        upstreams = tuple(
            dataclasses.replace(each, timers=dataclasses.replace(each.timers, hold_s=int(str(seconds))))
            for each in self.lab.intent.upstreams
        )
        intent = dataclasses.replace(self.lab.intent, upstreams=upstreams)
        await self._push(self._posture(), intent=intent)

    def _posture(self, drained: str = "") -> Posture:
        ties = {each.name: Tie(is_up=True, is_drained=each.name == drained) for each in self.lab.intent.upstreams}
        return Posture(ties, has_default=False)

    async def _push(self, posture: Posture, intent: Intent | None = None) -> None:
        edges = Edges(intent or self.lab.intent, self.lab.folder, self.clock)
        try:
            await edges.push(edges.texts(posture), words=f"scenario {self.scenario.name}")
        finally:
            await edges.close()

    async def _kill_bird(self, asked: Any) -> None:
        told = asked if isinstance(asked, dict) else {"edge": asked}
        edge, options = told["edge"], ["-R"] if told.get("recovers") else []
        self.lab.spaces.stop(f"bird {edge}", is_killed=True)
        (self.lab.folder / f"{edge}.ctl").unlink(missing_ok=True)
        self.lab.start_bird(str(edge), *options)

    async def _restart_bird(self, edge: object) -> None:
        async with self.lab.bird(str(edge)) as daemon:
            await daemon.ask("graceful restart")
        self.lab.spaces.wait(f"bird {edge}")
        self.lab.start_bird(str(edge), "-R")

    async def _reload(self, times: object) -> None:
        for _ in range(int(str(times))):
            for edge in self.lab.intent.edges:
                async with self.lab.bird(edge.name) as daemon:
                    await daemon.configure()
            await self.clock.sleep(0.3)

    async def _until_used(self, upstream: object) -> None:
        """Our edge prefers its routes, and the far router has the way in."""
        wanted = self.lab.intent.upstream(str(upstream))
        began = self.clock.monotonic()
        async with self._edge_bird(wanted.name) as edge, self.lab.bird("inet") as inet:
            for family in wanted.families:
                name, own = session(wanted.name, family), str(self.lab.intent.own(family)[0].prefix)
                while True:
                    out = await edge.routes(REMOTE_NET[family], options="primary")
                    back = await inet.routes(own)
                    there = any(each.session == f"{wanted.name}_ipv{family}" for each in back)
                    if there and out and out[0].session == name:
                        break
                    if self.clock.monotonic() - began > USED_S:
                        raise UnavailableError(f"{wanted.name} is not used again within {USED_S:.0f} s")
                    await self.clock.sleep(0.05)
        self.note = f"{wanted.name} is used again after {self.clock.monotonic() - began:.1f} s"

    async def _hp_phase(self, phase: object) -> None:
        hp = self.lab.intent.historical
        assert hp is not None
        (self.lab.folder / "hp-phase.conf").write_text(phase_text(self.lab.intent, int(str(phase))))
        async with self.lab.bird(hp.name) as theirs:
            await theirs.configure()

    async def _kill_frr(self, upstream: object) -> None:
        self.lab.spaces.stop(f"bgpd {upstream}", is_killed=True)

    async def _drop(self, upstream: object) -> None:
        self.lab.spaces.run(str(upstream), "nft", "-f", "-", given=NFT_DROP)

    async def _flood(self, asked: Any) -> None:
        link, routes = str(asked["link"]), int(asked["routes"])
        lines = []
        for number in range(routes):
            lines.append(f"protocol static flood{number}_ipv4 {{ ipv4; route 100.64.{number}.0/24 blackhole; }}")
            lines.append(
                f"protocol static flood{number}_ipv6 {{ ipv6; route 2001:db8:{0x8000 + number:x}::/48 blackhole; }}"
            )
        file = self.lab.folder / f"{link}.conf"
        text = file.read_text().replace(
            "if source = RTS_BGP then accept;", 'if source = RTS_BGP || proto ~ "flood*" then accept;'
        )
        file.write_text(text + "\n".join(lines) + "\n")
        async with self.lab.bird(link) as theirs:
            await theirs.configure()


def _link(asked: Any) -> tuple[str, str]:
    if not isinstance(asked, dict) or "link" not in asked:
        raise InvalidError("a link is named so: {link: t1, how: silent}")
    how = str(asked.get("how", "silent"))
    if how not in ("silent", "carrier", "ours", "far"):
        raise InvalidError(f"a link is cut silent, carrier, ours or far, not {how}")
    return str(asked["link"]), how
