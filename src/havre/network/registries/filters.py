"""The prefixes that a neighbour may send, made of what registries say, kept on disk, and never empty.

A list is asked for again when it is older than `fresh_s`. When a registry does not answer, the last list counts for up
to `stale_s` and says so; a list made of half an answer would cut off whom the other half names. An empty list, and one
that lost most of what it had, stop whoever asked: as a filter the first lets everything through or nothing, and both
are what a broken registry looks like.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from havre.base.errors import ConflictError, InvalidError, UnavailableError
from havre.drivers import irr
from havre.drivers.disk.whole import write_whole
from havre.drivers.irr import model as irr_model
from havre.kernel.clock import Clock
from havre.network.registries import prefixes, sets
from havre.network.registries.prefixes import Entry
from havre.network.registries.vrps import Network

__all__ = ["LONGEST", "Asked", "Cache", "PrefixList", "prefix_list"]
LONGEST = {4: 24, 6: 48}
SHORTEST = {4: 8, 6: 16}
SHRINK_FROM = 20  # a shorter list may halve
FORM = 1
ENTRY = re.compile(r"[0-9a-f.:]+/\d{1,3}(?:\{\d{1,3},\d{1,3}\})?")


@dataclass(frozen=True)
class Asked:
    """Which list: of an as-set (`AS-EXAMPLE`, `RIPE::AS-EXAMPLE`) or of one system (`AS64500`), of one family.

    up_to: what is inside a prefix passes as well, to this length; 0 for exactly the prefixes. whole: the registry
    follows the set itself (IRRd's `!a`), faster, and without evidence of what is in it.
    """

    name: str
    family: int
    up_to: int = 0
    whole: bool = False


@dataclass(frozen=True)
class PrefixList:
    """A list that may become a filter. texts: its entries as BIRD has them, which is also how they are kept.

    made_at: when the registries said so (ms). origins: whose prefixes these are; empty where the registry followed the
    set. left_out: prefixes longer or shorter than any route that is taken. error: why this is the last list and not a
    new one; empty when it is new.
    """

    asked: Asked
    texts: tuple[str, ...]
    made_at: int
    origins: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: int = 0
    error: str = ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries read: a second for 100,000."""
        return tuple(Entry.parse(each) for each in self.texts)

    def bird(self) -> tuple[str, ...]:
        return self.texts

    def frr(self) -> tuple[str, ...]:
        return tuple(each.frr() for each in self.entries)


@dataclass(frozen=True)
class Cache:
    """The lists on disk, a file for each. What cannot be read is not there."""

    folder: Path
    fresh_s: float = 3600
    stale_s: float = 7 * 86_400

    def get(self, asked: Asked, sources: str) -> PrefixList | None:
        try:
            return _parsed(asked, json.loads(self._file(asked, sources).read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, made: PrefixList, sources: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(made.asked, sources)
        write_whole(file, json.dumps(_tree(made, sources)))

    def collect(self, *, now: int) -> int:
        """Remove the lists that nobody may use any more; how many they were."""
        old = [each for each in self.folder.glob("*.json") if each.stat().st_mtime * 1000 < now - self.stale_s * 1000]
        for each in old:
            each.unlink(missing_ok=True)
        return len(old)

    def _file(self, asked: Asked, sources: str) -> Path:
        said = f"{asked.name}|{asked.family}|{asked.up_to}|{asked.whole}|{sources}"
        return self.folder / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.json"


async def prefix_list(
    asked: Asked,
    registries: Sequence[irr.Registry],
    *,
    cache: Cache,
    clock: Clock,
    accept_shrinking: bool = False,
) -> PrefixList:
    """The list that may become a filter.

    accept_shrinking: a person has looked at a list that lost most of what it had.
    Raises InvalidError when it is empty, ConflictError when it shrank, NotFoundError when no registry has the set,
    UnavailableError when a registry does not answer and the last list is too old.
    """
    if not registries:
        raise InvalidError(f"no registry is configured, so the prefixes of {asked.name} are not known")
    sources = ";".join(f"{type(each).__name__} {each.endpoint}" for each in registries)
    kept = cache.get(asked, sources)
    now = clock.now()
    if kept is not None and 0 <= now - kept.made_at < cache.fresh_s * 1000:
        return kept
    try:
        made = await _ask(asked, registries, now=now)
    except UnavailableError as error:
        if kept is None or now - kept.made_at > cache.stale_s * 1000:
            raise
        return replace(kept, error=error.message)
    if not made.texts:
        raise InvalidError(
            f"registries have no IPv{asked.family} prefix for {asked.name}: an empty list never becomes a filter",
            asked=sources,
        )
    if kept is not None and not accept_shrinking and SHRINK_FROM <= len(kept.texts) > 2 * len(made.texts):
        raise ConflictError(
            f"the IPv{asked.family} list of {asked.name} shrank from {len(kept.texts)} to {len(made.texts)}:"
            " look at it, then accept it"
        )
    cache.put(made, sources)
    return made


async def _ask(asked: Asked, registries: Sequence[irr.Registry], *, now: int) -> PrefixList:
    found: dict[Network, None] = {}
    origins: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    if asked.whole and all(isinstance(each, irr.Irrd) for each in registries):
        name, registries = sets.sourced(asked.name, registries)
        for each in registries:
            assert isinstance(each, irr.Irrd)
            found.update(dict.fromkeys(await each.prefixes_of_set(name, family=asked.family) or ()))
    else:
        origins, missing, registries = await _origins(asked, registries)
        for each in registries:
            answers = await each.prefixes(origins, family=asked.family)
            found.update({prefix: None for prefixes_of in answers.values() for prefix in prefixes_of})
    low, high = SHORTEST[asked.family], LONGEST[asked.family]
    taken = [each for each in found if low <= each.prefixlen <= high]
    shorten = partial(_shortened, taken, up_to=min(asked.up_to, high))
    texts = await anyio.to_thread.run_sync(shorten)  # a second for the longest lists
    return PrefixList(asked, texts, now, origins, missing, len(found) - len(taken))


def _shortened(found: Sequence[Network], *, up_to: int) -> tuple[str, ...]:
    return tuple(each.bird() for each in prefixes.aggregate(found, up_to=up_to))


async def _origins(
    asked: Asked, registries: Sequence[irr.Registry]
) -> tuple[tuple[str, ...], tuple[str, ...], Sequence[irr.Registry]]:
    """Whose prefixes are asked for, the sets that nobody has, and the registries to ask."""
    if irr_model.ASN.fullmatch(asked.name):
        return (irr_model.asn_word(asked.name),), (), registries
    _, chosen = sets.sourced(asked.name, registries)
    members = await sets.resolve(asked.name, registries)
    return members.origins, members.missing, chosen


def _tree(made: PrefixList, sources: str) -> dict[str, Any]:
    return {
        "form": FORM,
        "name": made.asked.name,
        "sources": sources,
        "made_at": made.made_at,
        "entries": list(made.bird()),
        "origins": list(made.origins),
        "missing": list(made.missing),
        "left_out": made.left_out,
    }


def _parsed(asked: Asked, tree: Any) -> PrefixList:
    """Raises ValueError, KeyError or TypeError for what `_tree` did not write."""
    if tree["form"] != FORM or tree["name"] != asked.name or not tree["entries"]:
        raise ValueError("another list")
    texts = tuple(map(str, tree["entries"]))
    if not all(map(ENTRY.fullmatch, texts)):
        raise ValueError("something else than entries")
    origins, missing = (tuple(map(str, tree[name])) for name in ("origins", "missing"))
    return PrefixList(asked, texts, int(tree["made_at"]), origins, missing, int(tree["left_out"]))
