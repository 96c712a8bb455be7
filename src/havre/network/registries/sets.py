"""As-sets followed to the autonomous systems in them, across registries, with everything odd on the way told.

A set may contain sets, itself among them, and names that nobody has. Nothing of that stops the reading: it is evidence.
What stops it are the limits, because a set is somebody else's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from havre.base.errors import ExhaustedError, InvalidError, NotFoundError
from havre.drivers import irr
from havre.drivers.irr import model as irr_model

__all__ = ["Limits", "Members", "cycles", "resolve", "sourced"]
SHOWN = 10


@dataclass(frozen=True)
class Limits:
    """How far a set is followed. The largest real ones have some 30,000 sets and 100,000 members."""

    depth: int = 64
    sets: int = 100_000
    origins: int = 400_000


@dataclass(frozen=True)
class Members:
    """What a set leads to.

    origins: the autonomous systems, sorted by number. sets: each set that was read, with its direct members. missing:
    sets that no registry has. ignored: members that are neither a system nor a set (`ANY`, prefixes).
    """

    name: str
    origins: tuple[str, ...]
    sets: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def loops(self) -> tuple[tuple[str, ...], ...]:
        """Ways that lead from a set back to itself; at most ten are told."""
        return cycles(self.sets)


def sourced(name: str, registries: Sequence[irr.Registry]) -> tuple[str, tuple[irr.Registry, ...]]:
    """`RIPE::AS-EXAMPLE` as the set's name and the registries that have that source, asked for that alone."""
    source, colons, rest = name.partition("::")
    if not colons:
        return irr_model.set_word(name), tuple(registries)
    source = irr_model.source_word(source)
    chosen = [each for each in registries if source in each.endpoint.sources or not each.endpoint.sources]
    if not chosen:
        raise InvalidError(f"{name}: no registry is configured for the source {source}")
    only = tuple(replace_sources(each, (source,)) for each in chosen)
    return irr_model.set_word(rest), only


def replace_sources(registry: irr.Registry, sources: tuple[str, ...]) -> irr.Registry:
    """The same registry, asked for these sources alone."""
    protocol = "irrd" if isinstance(registry, irr.Irrd) else "whois"
    return irr.registry(protocol, replace(registry.endpoint, sources=sources))


async def resolve(name: str, registries: Sequence[irr.Registry], *, limits: Limits | None = None) -> Members:
    """Follow `name` to its end, level by level. Of several registries the first that has a set counts.

    Raises NotFoundError when none has `name` itself, ExhaustedError past a limit, and what the registries raise: a set
    that is read by half would cut off whom the other half names.
    """
    limits = limits or Limits()
    top, registries = sourced(name, registries)
    found: dict[str, tuple[str, ...]] = {}
    missing: list[str] = []
    ignored: list[str] = []
    origins: set[int] = set()
    level, depth = [top], 0
    while level:
        depth += 1
        if depth > limits.depth or len(found) + len(level) > limits.sets:
            raise ExhaustedError(f"{name} leads to more than {limits.depth} levels or {limits.sets} sets")
        read = await _members(level, registries)
        missing += [each for each in level if each not in read]
        found.update(read)
        if top not in found:
            raise NotFoundError(
                f"no registry that we ask has the set {top}", asked=[str(r.endpoint) for r in registries]
            )
        inner: dict[str, None] = {}
        for word in (word for members in read.values() for word in members):
            _sort(word, origins, inner, ignored)
        if len(origins) > limits.origins:
            raise ExhaustedError(f"{name} leads to more than {limits.origins} autonomous systems")
        level = [each for each in inner if each not in found and each not in missing]
    words = tuple(f"AS{number}" for number in sorted(origins))
    return Members(top, words, found, tuple(missing), tuple(dict.fromkeys(ignored)))


def cycles(sets: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Each way from a set back to itself that a walk finds first; at most ten."""
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in sets:
        if start in done:
            continue
        way: dict[str, None] = {start: None}
        left = [iter(sets[start])]
        while left and len(found) < SHOWN:
            word = next(left[-1], None)
            if word is None:
                left.pop()
                done.add(way.popitem()[0])
            elif word in way:
                names = list(way)
                found.append((*names[names.index(word) :], word))
            elif word in sets and word not in done:
                way[word] = None
                left.append(iter(sets[word]))
    return tuple(found)


async def _members(names: Sequence[str], registries: Iterable[irr.Registry]) -> dict[str, tuple[str, ...]]:
    left, found = list(names), dict[str, tuple[str, ...]]()
    for registry in registries:
        answers = await registry.members(left) if left else {}
        found.update({name: members for name, members in answers.items() if members is not None})
        left = [each for each in left if each not in found]
    return found


def _sort(word: str, origins: set[int], inner: dict[str, None], ignored: list[str]) -> None:
    """Put a member where it belongs: a system, a set, or what is neither."""
    if irr_model.ASN.fullmatch(word):
        if 0 < int(word[2:]) < 2**32:
            origins.add(int(word[2:]))
        else:
            ignored.append(word)
        return
    try:
        inner[irr_model.set_word(word)] = None
    except InvalidError:
        ignored.append(word[:80])
