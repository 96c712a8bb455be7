"""Looking glasses over HTTP: what routers of somebody else see of a prefix. Manual page: README.md.

Many forms, one reading: wherever a JSON document has an AS path beside or below the prefix, that is a route; a text is
read as BIRD's `show route … all`. What it tells has the form that BIRD's driver gives.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from havre.base.errors import UnavailableError
from havre.drivers.bird import Route, read_routes

LIMIT_S = 10.0
MOST_BYTES = 8 * 1024 * 1024
PREFIX = "{prefix}"
PREFIX_WORDS = ("prefix", "network", "nlri")
PATH_WORDS = ("as_path", "aspath", "asPath", "path")
PEER_WORDS = ("peer", "neighbour_id", "neighbor_id", "peer_ip", "gateway")


class Clock(Protocol):
    """What a looking glass needs of the kernel's clock."""

    def monotonic(self) -> float: ...


@dataclass
class Glass:
    """One looking glass. url: with `{prefix}` where the prefix goes; every_s: it is not asked more often than that for
    one prefix, and says the same meanwhile. Use `close` at the end."""

    url: str
    clock: Clock
    every_s: float = 10.0
    limit_s: float = LIMIT_S
    _client: httpx.AsyncClient | None = field(default=None, repr=False)
    _said: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def words(self, prefix: str) -> str:
        """The answer as it came. Raises UnavailableError when there is none, or none that can be used."""
        kept = self._said.get(prefix)
        if kept is not None and self.clock.monotonic() - kept[0] < self.every_s:
            return kept[1]
        self._said.pop(prefix, None)
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self.limit_s, headers={"user-agent": "havre"})
        text = ""
        try:
            async with self._client.stream("GET", self.url.replace(PREFIX, quote(prefix, safe=":"))) as answer:
                async for part in answer.aiter_text():
                    text += part
                    if len(text) > MOST_BYTES:
                        raise UnavailableError(f"the looking glass {self.url} says more than can be read")
                if answer.status_code != 200:
                    raise UnavailableError(f"the looking glass {self.url} answers {answer.status_code}")
        except (httpx.HTTPError, ValueError) as cause:
            raise UnavailableError(f"the looking glass {self.url} does not answer") from cause
        self._said[prefix] = (self.clock.monotonic(), text)
        return text

    async def routes(self, prefix: str, *, options: str = "") -> tuple[Route, ...]:
        """The routes to exactly `prefix`, those of the origin that most of its routers see first; empty when none has
        one. options: taken for the sake of its siblings. Raises UnavailableError."""
        return read(await self.words(prefix), prefix)


def read(text: str, prefix: str) -> tuple[Route, ...]:
    """The routes to `prefix` that an answer tells of. Raises UnavailableError when it is neither JSON nor a table."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = tuple(_routes(json.loads(text), str(ipaddress.ip_network(prefix)), prefix))
        except (ValueError, RecursionError) as cause:
            raise UnavailableError("a looking glass says what is no JSON") from cause
    elif "<html" in text[:2000].lower():
        raise UnavailableError("a looking glass answers with a page for people")
    else:
        found = tuple(each for each in read_routes(text) if each.prefix == prefix)
    counts = Counter(each.origin for each in found)
    return tuple(sorted(found, key=lambda each: (-counts[each.origin], each.origin or 0)))


def _routes(node: Any, wanted: str, prefix: str, peer: str = "") -> Iterator[Route]:
    """`prefix` and `peer` are those that hold here: what a document says of them above or beside."""
    if isinstance(node, list):
        for each in node:
            yield from _routes(each, wanted, prefix, peer)
        return
    if not isinstance(node, dict):
        return
    told = next((node[each] for each in PREFIX_WORDS if isinstance(node.get(each), str)), prefix)
    peer = next((str(node[each]) for each in PEER_WORDS if isinstance(node.get(each), str | int)), peer)
    path = next((made for each in PATH_WORDS if (made := _path(node.get(each)))), ())
    if path and _same(told, wanted):
        yield Route(wanted, session=peer, is_best=True, path=path)
        return
    for each in node.values():
        if isinstance(each, dict | list):
            yield from _routes(each, wanted, told, peer)


def _same(told: str, wanted: str) -> bool:
    try:
        return str(ipaddress.ip_network(told.strip(), strict=False)) == wanted
    except ValueError:
        return False


def _path(value: Any) -> tuple[int, ...]:
    """`[64501, 64510]`, `["64501", "64510"]` or `"64501 64510"`; a set at the end stands for its numbers."""
    if isinstance(value, str):
        value = value.translate(str.maketrans("{},", "   ")).split()
    if not isinstance(value, list):
        return ()
    numbers = [str(each) for each in value]
    return tuple(int(each) for each in numbers) if numbers and all(each.isdecimal() for each in numbers) else ()
