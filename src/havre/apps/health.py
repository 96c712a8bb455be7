"""Is an instance ready: TCP first, then HTTP on its health paths (through its own door, not the edge)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from havre.apps.runtimes import Plan, checked_ports, public_port
from havre.base.errors import InvalidError, UnavailableError
from havre.base.ids import UnitId
from havre.kernel.clock import Clock
from havre.kernel.units import Units

PROBE_S = 10.0
FIRST_PAUSE_S, PAUSE_GROWS = 0.005, 1.25  # it is asked again after a quarter of what it has taken so far
OWN_PORT = 0  # of Units.dial: the port that the unit is reached at


def paths_of(env: Mapping[str, str]) -> tuple[str, ...]:
    """The configured health paths (CC_HEALTH_CHECK_PATH, …_0 to …_5); empty: the default."""
    names = ("CC_HEALTH_CHECK_PATH", *(f"CC_HEALTH_CHECK_PATH_{number}" for number in range(6)))
    found = tuple(env[name] for name in names if env.get(name))
    for path in found:
        if not path.startswith("/") or any(ord(char) <= 32 or ord(char) > 126 for char in path):
            raise InvalidError(f"the health check path {path!r} must start with / and hold no space")
    return found


async def wait_healthy(
    units: Units, id: UnitId, *, plan: Plan, env: Mapping[str, str], limit_s: float, clock: Clock
) -> str:
    """Return a sentence about the answer once every path answers.

    A configured path must answer 2xx; without one, `/` must answer anything below 500. Paths are asked for through the
    request flow, when there is one; each of its ports and the app's own must answer too, for a part in front may
    answer while the app does not. An app behind `block` is not asked at all. (docs: Clever Cloud, "Health check".)
    Raises InvalidError with what was seen last when `limit_s` has passed or the instance has ended.
    """
    given = () if any(part.name == "block" for part in plan.flow) else paths_of(env)
    paths, strict = given or ("/",), bool(given)
    deadline = clock.monotonic() + limit_s
    seen = f"nothing listens on port {public_port(plan)}"
    pause = FIRST_PAUSE_S
    while clock.monotonic() < deadline:
        answers = [await _probe(units, id, path) for path in paths]
        bad = [
            (path, status) for path, status in zip(paths, answers, strict=True) if not _is_good(status, strict=strict)
        ]
        deaf = [] if bad else [port for port in checked_ports(plan) if await _probe(units, id, paths[0], port) is None]
        if not bad and not deaf:
            return f"health check GET {paths[0]} {answers[0]}"
        if deaf:
            whose = "the app's own (PORT)" if deaf[0] == plan.port else "a part of the request flow"
            seen = f"nothing answers on port {deaf[0]}, {whose}"
        elif bad[0][1] is not None:
            seen = f"GET {bad[0][0]} answers {bad[0][1]}"
        unit = await units.get(id)
        if unit is None or unit.state == "exited":
            raise InvalidError(f"the app ended while it started: {unit.exit if unit else 'it was never started'}")
        await clock.sleep(pause)
        pause = min(0.5, pause * PAUSE_GROWS)
    expected = "2xx is expected" if strict else f"the app must listen on 0.0.0.0:{plan.port}"
    raise InvalidError(f"the app did not become healthy within {limit_s:.0f} s: {seen}; {expected}")


async def failure(units: Units, id: UnitId, *, paths: Sequence[str], limit_s: float) -> str:
    """What is wrong with a running instance, in words; empty: it answers.

    paths: the configured ones, of which an answer from 500 on is a failure too; none: any answer to `/` is well.
    """
    for path in paths or ("/",):
        status = await _probe(units, id, path, limit_s=limit_s)
        if status is None:
            return f"GET {path} got no answer within {limit_s:g} s"
        if paths and status >= 500:
            return f"GET {path} answered {status}"
    return ""


def _is_good(status: int | None, *, strict: bool) -> bool:
    return status is not None and (200 <= status < 300 if strict else status < 500)


async def _probe(units: Units, id: UnitId, path: str, port: int = OWN_PORT, *, limit_s: float = PROBE_S) -> int | None:
    """The status of one GET; None when nobody answers."""
    try:
        with anyio.fail_after(limit_s):
            async with await units.dial(id, port) as stream:
                request = (
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: havre-health\r\nConnection: close\r\n\r\n"
                )
                await stream.send(request.encode())
                head = b""
                while b"\r\n" not in head and len(head) < 4096:
                    head += await stream.receive()
    except (TimeoutError, UnavailableError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return None
    words = head.split(b"\r\n", 1)[0].split(b" ")
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None
