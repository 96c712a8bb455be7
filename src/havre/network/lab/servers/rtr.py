"""A cache that speaks RTR from a file of VRPs: `python -m havre.network.lab.servers.rtr`.

    python -m havre.network.lab.servers.rtr --listen 127.0.0.1:8282 vrps.json

The file is what rpki-client, FORT or StayRTR write: `{"roas": [{"prefix", "maxLength", "asn", "ta"}]}`. Prints one line
of JSON (`{"listening": [...], "serial": 1, "vrps": 2}`) once it can be asked. When the file changes, the serial goes up
and every router is notified; routers are answered with the difference, or told to start again when it is too old.
`--version 0` is a cache of the old kind (RFC 6810), which refuses version 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import SocketStream

from havre.base.errors import InvalidError
from havre.drivers.rtr import pdus
from havre.kernel.clock import SystemClock
from havre.network.registries import vrps

LOOK_S = 0.1
SEND_S = 60.0
HISTORY = 64
CHUNK = 2048
Record = tuple[int, int, int]  # family, key, value


@dataclass
class Cache:
    """What the cache knows: all VRPs, and what changed between serials."""

    file: Path
    session: int
    newest_version: int = 1
    timers: pdus.Timers = field(default_factory=pdus.Timers)
    serial: int = 0
    records: frozenset[Record] = frozenset()
    changes: deque[tuple[int, frozenset[Record], frozenset[Record]]] = field(
        default_factory=lambda: deque(maxlen=HISTORY)
    )
    stamp: tuple[int, int] = (0, 0)

    def look(self) -> bool:
        """Read the file again if it changed; whether the VRPs are other ones now. Raises InvalidError, OSError."""
        seen = self.file.stat()
        stamp = (seen.st_mtime_ns, seen.st_size)
        if stamp == self.stamp:
            return False
        found = frozenset(vrps.records(vrps.read(self.file)))
        self.stamp = stamp
        if found == self.records and self.serial:
            return False
        self.serial += 1
        self.changes.append((self.serial, found - self.records, self.records - found))
        self.records = found
        return True

    def since(self, serial: int) -> tuple[frozenset[Record], frozenset[Record]] | None:
        """What was added and what was taken away since `serial`; None when that is not known any more."""
        if serial == self.serial:
            return frozenset(), frozenset()
        steps = [each for each in self.changes if each[0] > serial]
        if not steps or steps[0][0] != serial + 1:
            return None
        added: set[Record] = set()
        gone: set[Record] = set()
        for _, plus, minus in steps:  # what came and went between is not told at all
            added, gone = added - minus | plus - gone, gone - plus | minus - added
        return frozenset(added), frozenset(gone)


def answer(cache: Cache, unit: tuple[int, int, int, int], body: bytes) -> list[bytes]:
    """The units that answer one unit of a router, in pieces that are good to send."""
    version, kind, session, _ = unit
    if version > cache.newest_version:
        return [pdus.error(cache.newest_version, pdus.BAD_VERSION, about=body, text="only version 0 here")]
    if kind == pdus.RESET_QUERY:
        return _data(cache, version, cache.records, frozenset())
    if kind == pdus.SERIAL_QUERY:
        changes = cache.since(pdus.SERIAL.unpack(body)[4]) if session == cache.session else None
        if changes is None:
            return [pdus.plain(version, pdus.CACHE_RESET)]
        return _data(cache, version, *changes)
    if kind == pdus.ERROR_REPORT:
        return []
    return [pdus.error(version, pdus.INVALID, about=body, text="a cache is asked, not told")]


def _data(cache: Cache, version: int, added: frozenset[Record], gone: frozenset[Record]) -> list[bytes]:
    ordered = [(record, True) for record in sorted(added)] + [(record, False) for record in sorted(gone)]
    pieces = [pdus.plain(version, pdus.CACHE_RESPONSE, cache.session)]
    for at in range(0, len(ordered), CHUNK):
        part = ordered[at : at + CHUNK]
        pieces.append(b"".join(pdus.prefix(version, *record, announce=announce) for record, announce in part))
    pieces.append(pdus.end_of_data(version, cache.session, cache.serial, cache.timers))
    return pieces


@dataclass(eq=False)
class Router:
    """One connection. `version` is that of its last unit, and unknown before."""

    stream: SocketStream
    version: int | None = None
    sending: anyio.Lock = field(default_factory=anyio.Lock)

    async def send(self, pieces: list[bytes]) -> None:
        async with self.sending:
            with anyio.fail_after(SEND_S):
                for piece in pieces:
                    await self.stream.send(piece)


async def serve(stream: SocketStream, *, cache: Cache, routers: set[Router]) -> None:
    """Answer one router until it goes, or talks nonsense."""
    router, held = Router(stream), bytearray()
    routers.add(router)
    try:
        async with stream:
            while True:
                held += await stream.receive()
                while (unit := pdus.next_unit(held, 0)) is not None:
                    body = bytes(held[: unit[3]])
                    del held[: unit[3]]
                    router.version = min(unit[0], cache.newest_version)
                    await router.send(answer(cache, unit, body))
    except InvalidError as error:
        print(json.dumps({"refused": error.message}), file=sys.stderr, flush=True)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
        pass
    finally:
        routers.discard(router)


async def watch(cache: Cache, routers: set[Router]) -> None:
    """Look at the file for ever; tell the routers when it changed."""
    while True:
        await SystemClock().sleep(LOOK_S)
        try:
            changed = cache.look()
        except (InvalidError, OSError) as error:
            print(json.dumps({"unreadable": str(error)}), file=sys.stderr, flush=True)
            continue
        for router in list(routers) if changed else ():
            if router.version is not None:
                try:
                    await router.send([pdus.notify(router.version, cache.session, cache.serial)])
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
                    routers.discard(router)


async def run(host: str, port: int, *, cache: Cache) -> None:
    """Serve until cancelled; say on standard output where."""
    cache.look()
    routers: set[Router] = set()
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    bound = listener.extra(anyio.abc.SocketAttribute.local_address)
    told = {"listening": list(bound[:2]), "serial": cache.serial, "vrps": len(cache.records)}
    print(json.dumps(told), flush=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, cache, routers)
        await listener.serve(partial(serve, cache=cache, routers=routers))


def main() -> None:
    parser = argparse.ArgumentParser(description="an RTR cache for the laboratory")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--version", type=int, choices=(0, 1), default=1)
    parser.add_argument("--session", type=int, help="the session id; by default one of the moment")
    parser.add_argument("--refresh", type=int, default=5, metavar="SECONDS")
    parser.add_argument("--retry", type=int, default=3, metavar="SECONDS")
    parser.add_argument("--expire", type=int, default=600, metavar="SECONDS")
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    host, _, port = asked.listen.rpartition(":")
    session = SystemClock().now() % 65_536 if asked.session is None else asked.session
    timers = pdus.Timers(asked.refresh, asked.retry, asked.expire)
    cache = Cache(asked.file, session, asked.version, timers)
    anyio.run(partial(run, host.strip("[]"), int(port), cache=cache))


if __name__ == "__main__":
    main()
