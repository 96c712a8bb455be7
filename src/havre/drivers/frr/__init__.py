"""FRR 8.4 or later, driven through `vtysh` and its `frr-reload.py`. Manual page: README.md.

What it tells has the form that BIRD's driver gives: a session's name is its neighbour's description.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.bird import Route, Session

LIMIT_S = 60.0
VTYSH, RELOAD = "vtysh", "/usr/lib/frr/frr-reload.py"
REFUSED = ("% Unknown command", "% Command incomplete", "% Ambiguous command", "% Malformed")


@dataclass
class Frr:
    """Running daemons. socket: the folder of their control sockets."""

    socket: Path
    limit_s: float = LIMIT_S

    async def close(self) -> None:
        """Nothing is kept open."""

    async def ask(self, command: str) -> str:
        """What `vtysh` says. Raises InvalidError for what it refuses, UnavailableError when nobody answers."""
        code, said = await _run([VTYSH, "--vty_socket", str(self.socket), "-c", command], self.limit_s)
        if any(each in said for each in REFUSED):
            raise InvalidError(f"FRR refuses {command!r}: {said.strip()[-300:]}", program="frr")
        if code != 0 or "failed to connect to any daemons" in said:
            raise UnavailableError(f"FRR does not answer at {self.socket}", program="frr")
        return said

    async def version(self) -> str:
        return (await self.ask("show version")).split()[1]

    async def router_id(self) -> str:
        return str((await self._json("show bgp summary json")).get("ipv4Unicast", {}).get("routerId", ""))

    async def configure(self, file: Path) -> str:
        """Bring what runs to what `file` says, by the lines that differ. Raises InvalidError."""
        argv = [RELOAD, "--reload", "--stdout", "--vty_socket", str(self.socket), "--confdir", str(self.socket)]
        code, said = await _run([*argv, "--rundir", str(self.socket), str(file)], self.limit_s)
        if code != 0:
            raise InvalidError(f"FRR does not take {file}: {said.strip()[-400:]}", program="frr")
        return said

    async def sessions(self) -> Mapping[str, Session]:
        """Every BGP session by its name; a neighbour without a description is called by its address."""
        found: dict[str, Session] = {}
        told = await self._json("show bgp neighbors json")
        summary = await self._json("show bgp summary json")
        counts = {
            address: peer
            for part in summary.values()
            if isinstance(part, dict)
            for address, peer in part.get("peers", {}).items()
        }
        for address, each in told.items():
            if isinstance(each, dict) and "remoteAs" in each:
                name = str(each.get("nbrDesc") or address)
                found[name] = _session(name, address, each, counts.get(address, {}))
        return found

    async def routes(self, prefix: str, *, options: str = "") -> tuple[Route, ...]:
        """The BGP routes to exactly `prefix`, the best first. options: `primary` for the best alone."""
        family = "ipv6" if ":" in prefix else "ipv4"
        found = await self._json(f"show bgp {family} unicast {prefix} json")
        if found.get("prefix", prefix) != str(ipaddress.ip_network(prefix)):
            return ()
        routes = [_route(prefix, each) for each in found.get("paths", [])]
        best = sorted(routes, key=lambda each: not each.is_best)
        return tuple(best[:1] if options == "primary" else best)

    async def exported(self, session: str) -> tuple[str, ...]:
        """The prefixes that a session tells its neighbour."""
        neighbor = (await self.sessions())[session].neighbor
        family = "ipv6" if ":" in neighbor else "ipv4"
        told = await self._json(f"show bgp {family} unicast neighbors {neighbor} advertised-routes json")
        return tuple(told.get("advertisedRoutes", {}))

    async def bfd(self) -> Mapping[str, str]:
        """The state of each BFD session by its neighbour's address, in BIRD's words: `Up`, `Down`, `Init`."""
        said = await self.ask("show bfd peers json")
        peers = json.loads(said[said.find("[") :]) if "[" in said else []
        return {str(each["peer"]): str(each.get("status", "")).capitalize() for each in peers}

    async def _json(self, command: str) -> dict[str, Any]:
        said = await self.ask(command)
        try:
            found = json.loads(said[said.find("{") :]) if "{" in said else {}
        except ValueError as cause:
            raise UnavailableError(f"FRR does not answer {command!r} as expected", program="frr") from cause
        return found if isinstance(found, dict) else {}


async def check(file: Path) -> None:
    """Have `vtysh` read `file` without any daemon. Raises InvalidError with the place and its words."""
    code, said = await _run([VTYSH, "-C", "-f", str(file)], LIMIT_S)
    if code != 0:
        raise InvalidError(f"FRR refuses the configuration: {file.name} {said.strip()[-300:]}", program="frr")


async def _run(argv: Sequence[str], limit_s: float) -> tuple[int, str]:
    try:
        with anyio.fail_after(limit_s):
            done = await anyio.run_process(list(argv), check=False)
    except FileNotFoundError as cause:
        raise UnavailableError("FRR is not installed (apt install frr frr-pythontools)", program="frr") from cause
    except TimeoutError as cause:
        raise UnavailableError(f"FRR did not answer within {limit_s:.0f} s", program="frr") from cause
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def _session(name: str, address: str, each: Mapping[str, Any], counts: Mapping[str, Any]) -> Session:
    state = str(each.get("bgpState", ""))
    return Session(
        name,
        kind="BGP",
        state="up" if state == "Established" else "start",
        info=state,
        imported=int(counts.get("pfxRcd", 0)),
        exported=int(counts.get("pfxSnt", 0)),
        neighbor=address,
        neighbor_asn=int(each["remoteAs"]),
        local_asn=int(each.get("localAs", 0)),
        source=str(each.get("hostLocal", "")),
        hold_s=int(each.get("bgpTimerHoldTimeMsecs", 0)) // 1000,
        error=str(each.get("lastResetDueTo", "")),
    )


def _route(prefix: str, each: Mapping[str, Any]) -> Route:
    segments = each.get("aspath", {}).get("segments", [])
    path = tuple(int(number) for segment in segments for number in segment.get("list", []))
    hops = each.get("nexthops", [])
    marks = str(each.get("largeCommunity", {}).get("string", ""))
    return Route(
        prefix,
        session=str(each.get("peer", {}).get("peerId", "")),
        is_best=bool(each.get("bestpath", {}).get("overall")),
        path=path,
        preference=int(each.get("locPrf", 0)),
        next_hop=str(hops[0].get("ip", "")) if hops else "",
        large_communities=tuple(mark.replace(":", ", ") for mark in marks.split()),
    )
