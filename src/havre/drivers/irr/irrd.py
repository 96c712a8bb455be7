"""Questions in the protocol of IRRd (`!` commands), many in flight on one connection.

A question is a line. An answer is `A<length>`, that many bytes and `C`; `C` alone: found, and empty; `D`: not found, or
a set without members; `E`: ambiguous; `F text`: refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers.irr import rpsl
from havre.drivers.irr.model import Endpoint, Network, asn_word, key_word, prefix_word, set_word, source_word

IN_FLIGHT = 64
MOST_LINE_BYTES = 4096


@dataclass(frozen=True)
class Irrd:
    """A registry that speaks IRRd's protocol."""

    endpoint: Endpoint

    async def prefixes(self, origins: Sequence[str], *, family: int) -> dict[str, tuple[Network, ...]]:
        """See `Registry.prefixes`."""
        words = [asn_word(each) for each in origins]
        command = "!g" if family == 4 else "!6"
        answers = await self.ask([command + word for word in words])
        return {word: _prefixes(answer, family) for word, answer in zip(words, answers, strict=True)}

    async def prefixes_of_set(self, name: str, *, family: int) -> tuple[Network, ...] | None:
        """All prefixes below an as-set in one question, resolved by the server; None: no such set, or
        nothing below it."""
        answer = (await self.ask([f"!a{family}{set_word(name)}"]))[0]
        return None if answer is None else _prefixes(answer, family)

    async def members(self, names: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
        """See `Registry.members`."""
        words = [set_word(each) for each in names]
        answers = dict(zip(words, await self.ask([f"!i{word}" for word in words]), strict=True))
        silent = [word for word, answer in answers.items() if answer is None]
        there = await self.ask([f"!mas-set,{word}" for word in silent])
        answers |= {word: "" for word, found in zip(silent, there, strict=True) if found}
        return {word: None if answer is None else tuple(answer.upper().split()) for word, answer in answers.items()}

    async def origins(self, prefix: Network) -> tuple[str, ...]:
        """See `Registry.origins`."""
        answer = (await self.ask([f"!r{prefix},o"]))[0]
        return tuple(sorted({asn_word(word) for word in (answer or "").split()}))

    async def object(self, kind: str, key: str) -> rpsl.RpslObject | None:
        """See `Registry.object`."""
        answer = (await self.ask([f"!m{key_word(kind).lower()},{key_word(key)}"]))[0]
        if not answer:
            return None
        return next(rpsl.objects(answer, name=f"{key} at {self.endpoint}"), None)

    async def ask(self, questions: Sequence[str]) -> list[str | None]:
        """The answers to lines, in their order: None is `not found`, empty is `found and empty`."""
        if not questions:
            return []
        first = ["!s" + ",".join(source_word(each) for each in self.endpoint.sources)] if self.endpoint.sources else []
        try:
            with anyio.fail_after(self.endpoint.limit_s):
                return (await self._talk([*first, *questions]))[len(first) :]
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as cause:
            raise UnavailableError(f"the registry {self.endpoint} did not answer", asked=questions[0]) from cause
        except anyio.DelimiterNotFound as cause:
            raise UnavailableError(f"{self.endpoint} does not speak IRRd's protocol", asked=questions[0]) from cause

    async def _talk(self, questions: Sequence[str]) -> list[str | None]:
        with anyio.fail_after(self.endpoint.connect_s):
            stream = await anyio.connect_tcp(self.endpoint.host, self.endpoint.port)
        answers: list[str | None] = []
        async with stream:
            await stream.send(b"!!\n")
            received, sent = BufferedByteReceiveStream(stream), 0
            while len(answers) < len(questions):
                if sent < len(questions) and sent - len(answers) <= IN_FLIGHT // 2:
                    batch = questions[sent : len(answers) + IN_FLIGHT]
                    await stream.send("".join(f"{each}\n" for each in batch).encode("ascii"))
                    sent += len(batch)
                answers.append(await self._answer(received, questions[len(answers)]))
        return answers

    async def _answer(self, received: BufferedByteReceiveStream, asked: str) -> str | None:
        with anyio.fail_after(self.endpoint.quiet_s):
            head = (await received.receive_until(b"\n", MOST_LINE_BYTES)).decode("latin-1").rstrip("\r")
        if head == "C":
            return ""
        if head in ("D", "E"):
            return None
        if head.startswith("F"):
            raise InvalidError(f"{self.endpoint} refused {asked!r}: {head[1:].strip()[:300]}")
        if not (head.startswith("A") and head[1:].isdigit() and len(head) < 12):
            raise UnavailableError(f"{self.endpoint} does not speak IRRd's protocol: it said {head[:60]!r}")
        left = int(head[1:])
        if left > self.endpoint.most_bytes:
            raise UnavailableError(f"the answer of {self.endpoint} to {asked!r} has {left} bytes: more than we read")
        parts = []
        while left:
            with anyio.fail_after(self.endpoint.quiet_s):
                parts.append(await received.receive(left))
            left -= len(parts[-1])
        with anyio.fail_after(self.endpoint.quiet_s):
            end = await received.receive_until(b"\n", MOST_LINE_BYTES)
        if end.rstrip(b"\r") != b"C":
            raise UnavailableError(f"{self.endpoint} did not end its answer to {asked!r}")
        return b"".join(parts).decode("utf-8", "replace").strip()


def _prefixes(answer: str | None, family: int) -> tuple[Network, ...]:
    found = (prefix_word(word) for word in (answer or "").split())
    return tuple(dict.fromkeys(each for each in found if each is not None and each.version == family))
