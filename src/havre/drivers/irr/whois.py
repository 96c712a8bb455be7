"""Questions to a server of RIPE's whois (port 43), by key and by inverse key, on one connection.

Objects are separated by an empty line, an answer ends with two; lines that begin with `%` are the server's own, among
them `%ERROR:101`, nothing found, and `%ERROR:201`, asked too much. IRRd answers this form too: its errors are
`%% ERROR: text`, `-x` has to stand before its prefix, and flags that it does not know (`-B`, `-G`) are errors. What is
asked here is what both understand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from havre.base.errors import DeniedError, InvalidError, UnavailableError
from havre.drivers.irr import rpsl
from havre.drivers.irr.model import Endpoint, Network, asn_word, key_word, prefix_word, set_word, source_word

ERROR = re.compile(r"^%+\s*ERROR:(?:(\d+):)?\s*(.*)$", re.M)
END = b"\n\n\n"
NOTHING = 101
ROUTES = {4: "route", 6: "route6"}


@dataclass(frozen=True)
class Whois:
    """A registry that speaks RIPE's whois."""

    endpoint: Endpoint

    async def prefixes(self, origins: Sequence[str], *, family: int) -> dict[str, tuple[Network, ...]]:
        """See `Registry.prefixes`."""
        words = [asn_word(each) for each in origins]
        answers = await self.ask([f"-r -T {ROUTES[family]} -i origin {word}" for word in words])
        made = {}
        for word, found in zip(words, answers, strict=True):
            keys = (prefix_word(each.key) for each in found if each.kind == ROUTES[family])
            made[word] = tuple(dict.fromkeys(key for key in keys if key is not None))
        return made

    async def members(self, names: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
        """See `Registry.members`. Who refers to a set counts where the set trusts its maintainer (RFC 2622, 5)."""
        words = [set_word(each) for each in names]
        answers = await self.ask([f"-r -T as-set {word}" for word in words])
        sets = {word: _named(found, word) for word, found in zip(words, answers, strict=True)}
        open_sets = [word for word, each in sets.items() if each is not None and each.words("mbrs-by-ref")]
        referring = await self.ask([f"-r -T aut-num,as-set -i member-of {word}" for word in open_sets])
        added = dict(zip(open_sets, referring, strict=True))
        return {word: None if each is None else _members(each, added.get(word, ())) for word, each in sets.items()}

    async def origins(self, prefix: Network) -> tuple[str, ...]:
        """See `Registry.origins`."""
        kind = ROUTES[prefix.version]
        found = (await self.ask([f"-r -T {kind} -x {prefix}"]))[0]
        same = (each for each in found if each.kind == kind and prefix_word(each.key) == prefix)
        return tuple(sorted({asn_word(each.first("origin")) for each in same}))

    async def object(self, kind: str, key: str) -> rpsl.RpslObject | None:
        """See `Registry.object`."""
        kind, key = key_word(kind).lower(), key_word(key)
        if kind in ROUTES.values():
            prefix, at, origin = key.upper().partition("AS")
            found = (await self.ask([f"-r -T {kind} -x {prefix}"]))[0]
            return next((each for each in found if each.first("origin").upper() == at + origin), None)
        return _named((await self.ask([f"-r -T {kind} {key}"]))[0], key)

    async def ask(self, questions: Sequence[str]) -> list[list[rpsl.RpslObject]]:
        """The objects that answer lines, in their order; nothing found is an empty list."""
        if not questions:
            return []
        chosen = f"-s {','.join(source_word(each) for each in self.endpoint.sources)} " if self.endpoint.sources else ""
        try:
            with anyio.fail_after(self.endpoint.limit_s):
                texts = await self._talk([chosen + each for each in questions])
        except (OSError, TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as cause:
            raise UnavailableError(f"the registry {self.endpoint} did not answer", asked=questions[0]) from cause
        except anyio.DelimiterNotFound as cause:
            raise UnavailableError(f"{self.endpoint} answered more than we read", asked=questions[0]) from cause
        return [self._objects(text, asked) for text, asked in zip(texts, questions, strict=True)]

    async def _talk(self, questions: Sequence[str]) -> list[str]:
        with anyio.fail_after(self.endpoint.connect_s):
            stream = await anyio.connect_tcp(self.endpoint.host, self.endpoint.port)
        texts = []
        async with stream:
            received = BufferedByteReceiveStream(stream)
            for asked in questions:
                await stream.send(f"-k {asked}\n".encode("ascii") if asked is questions[0] else f"{asked}\n".encode())
                with anyio.fail_after(self.endpoint.quiet_s):
                    texts.append(
                        (await received.receive_until(END, self.endpoint.most_bytes)).decode("utf-8", "replace")
                    )
        return texts

    def _objects(self, text: str, asked: str) -> list[rpsl.RpslObject]:
        refused = ERROR.search(text)
        if refused:
            code, words = int(refused[1] or 0), refused[2].strip()
            if code == NOTHING:
                return []
            told = f"{self.endpoint} refused {asked!r}: {words[:300]}" + (f" ({code})" if code else "")
            if 200 <= code < 300:
                raise DeniedError(told)
            raise UnavailableError(told) if code >= 300 else InvalidError(told)
        try:
            return list(rpsl.objects(text, name=f"the answer of {self.endpoint}"))
        except InvalidError as cause:
            raise UnavailableError(f"{self.endpoint} does not answer in RPSL", asked=asked) from cause


def _named(found: Sequence[rpsl.RpslObject], key: str) -> rpsl.RpslObject | None:
    return next((each for each in found if each.key.upper() == key.upper()), None)


def _members(of: rpsl.RpslObject, referring: Sequence[rpsl.RpslObject]) -> tuple[str, ...]:
    trusted = {word.upper() for word in of.words("mbrs-by-ref")}
    added = [
        each.key.upper()
        for each in referring
        if "ANY" in trusted or trusted & {word.upper() for word in each.words("mnt-by")}
    ]
    return tuple(dict.fromkeys([word.upper() for word in of.words("members", "mp-members")] + added))
