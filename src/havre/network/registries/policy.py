"""The policy of an aut-num (RFC 2622, 6; RFC 4012, 2.5): from whom it takes what, and to whom it tells what. Pure.

What is read is what adopting and preflight need: the neighbours, the families, the actions and filters as text. Braces,
`except` and `refine` are followed far enough to find every neighbour; such a policy says so (`is_plain`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from havre.base.errors import InvalidError
from havre.drivers.irr import RpslObject

__all__ = ["Direction", "Neighbour", "Policy", "Relation", "lines", "neighbours", "policies", "read"]
TOKEN = re.compile(r"<[^>]*>|\{|\}|;|,|[^\s{};,<]+|<")
WORDS = {"import": ("from", "accept"), "export": ("to", "announce")}
ENDS = ("except", "refine")
MOST_TOKENS = 100_000
FAMILIES = {"ipv4": (4,), "ipv6": (6,), "any": (4, 6)}


class Direction(StrEnum):
    IMPORT = "import"
    EXPORT = "export"


class Relation(StrEnum):
    """What a neighbour is to the aut-num, guessed from what passes between them."""

    TRANSIT = "transit"
    CUSTOMER = "customer"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Policy:
    """One neighbour in one direction. `peering` is what was written, `asn` its system, 0 where it names none."""

    direction: Direction
    families: tuple[int, ...]
    peering: str
    asn: int
    actions: str
    filter: str
    is_plain: bool = True

    @property
    def is_everything(self) -> bool:
        return self.filter.upper() in ("ANY", "AS-ANY")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What an aut-num says about one other system."""

    asn: int
    imports: tuple[Policy, ...]
    exports: tuple[Policy, ...]

    def says(self, family: int) -> bool:
        """Whether both directions are named for that family."""
        return all(any(family in each.families for each in of) for of in (self.imports, self.exports))

    @property
    def relation(self) -> Relation:
        takes = any(each.is_everything for each in self.imports)
        gives = any(each.is_everything for each in self.exports)
        if takes != gives:
            return Relation.TRANSIT if takes else Relation.CUSTOMER
        return Relation.PEER


def policies(autnum: RpslObject) -> tuple[Policy, ...]:
    """Everything that the object's import, export and mp- attributes say. Raises InvalidError with the attribute."""
    found: list[Policy] = []
    for each in autnum.attributes:
        if each.name in ("import", "export", "mp-import", "mp-export"):
            found += read(each.name, each.value)
    return tuple(found)


def neighbours(autnum: RpslObject) -> dict[int, Neighbour]:
    """The policies by neighbour, in the order of the object; those that name no single system are left out."""
    found: dict[int, list[Policy]] = {}
    for each in policies(autnum):
        if each.asn:
            found.setdefault(each.asn, []).append(each)
    return {
        asn: Neighbour(
            asn,
            tuple(each for each in said if each.direction is Direction.IMPORT),
            tuple(each for each in said if each.direction is Direction.EXPORT),
        )
        for asn, said in found.items()
    }


def read(name: str, text: str) -> tuple[Policy, ...]:
    """The policies of one attribute. Raises InvalidError when it is not one."""
    direction = Direction(name.removeprefix("mp-"))
    tokens = TOKEN.findall(text)
    if len(tokens) > MOST_TOKENS:
        raise InvalidError(f"{name}: longer than any policy that we read")
    peer_word, filter_word = WORDS[direction]
    families: tuple[int, ...] = (4, 6) if name.startswith("mp-") else (4,)
    plain = not any(each.lower() in (*ENDS, "{") for each in _before_filters(tokens, filter_word))
    found: list[Policy] = []
    for head, factor in _factors(tokens, peer_word):
        families = _families(head, families)
        found += _factor(direction, families, factor, filter_word, plain=plain)
    if not found:
        raise InvalidError(f"{name}: {text[:80]!r} names nobody with `{peer_word}` and `{filter_word}`")
    return tuple(found)


def lines(asn: int, families: Sequence[int], *, accept: str, announce: str) -> tuple[tuple[str, str], ...]:
    """The attributes that name a neighbour, ready to stand in an aut-num."""
    made: list[tuple[str, str]] = []
    for family in families:
        names = ("import", "export") if family == 4 else ("mp-import", "mp-export")
        afi = "" if family == 4 else "afi ipv6.unicast "
        made.append((names[0], f"{afi}from AS{asn} accept {accept}"))
        made.append((names[1], f"{afi}to AS{asn} announce {announce}"))
    return tuple(made)


def _before_filters(tokens: Sequence[str], filter_word: str) -> Iterator[str]:
    """The tokens outside filters: braces inside a filter are a list of prefixes."""
    inside = False
    for each in tokens:
        word = each.lower()
        if word == filter_word:
            inside = True
        elif word in (";", *ENDS):
            inside = False
        if not inside:
            yield each


def _factors(tokens: Sequence[str], peer_word: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each `from ...` with the words before it that belong to no other (protocol, afi)."""
    head: list[str] = []
    factor: list[str] = []
    filter_word = "accept" if peer_word == "from" else "announce"
    depth, seen_filter = 0, False
    for each in tokens:
        word = each.lower()
        if word == peer_word:
            if factor and seen_filter:
                yield head, factor
                head, factor, seen_filter = [], [], False
            factor.append(peer_word)
        elif not factor:
            head.append(word)
        elif seen_filter and depth == 0 and (word in (";", "}") or word in ENDS):
            yield head, factor
            head, factor, seen_filter = [word], [], False
        else:
            depth += (word == "{") - (word == "}")
            seen_filter = seen_filter or word == filter_word
            factor.append(each if word != filter_word else filter_word)
    if factor:
        yield head, factor


def _families(head: Sequence[str], before: tuple[int, ...]) -> tuple[int, ...]:
    if "afi" not in head:
        return before
    named = [each for each in head[head.index("afi") + 1 :] if each != ","]
    found = {family for each in named for family in FAMILIES.get(each.partition(".")[0], ())}
    unicast = {each.partition(".")[2] for each in named if each.partition(".")[0] in FAMILIES}
    return tuple(sorted(found)) if found and unicast != {"multicast"} else ()


def _factor(
    direction: Direction, families: tuple[int, ...], tokens: Sequence[str], filter_word: str, *, plain: bool
) -> Iterator[Policy]:
    """`from P [action A;] [from Q [action B;]] accept F`: one policy for each peering."""
    if filter_word not in tokens:
        raise InvalidError(f"{direction}: {' '.join(tokens)[:80]!r} has no `{filter_word}`")
    at = tokens.index(filter_word)
    allowed = _joined(tokens[at + 1 :])
    if not allowed:
        raise InvalidError(f"{direction}: nothing stands behind `{filter_word}`")
    for peering in _split(tokens[:at], tokens[0]):
        name, actions = _actions(peering)
        if not _joined(name):
            raise InvalidError(f"{direction}: nobody stands behind `{tokens[0]}`")
        match = re.fullmatch(r"[Aa][Ss](\d{1,10})", name[0])
        asn = int(match[1]) if match and int(match[1]) < 2**32 else 0
        combined = any(each.lower() in ("or", "and", "except") for each in name[1:])
        yield Policy(
            direction,
            families,
            _joined(name),
            0 if combined else asn,
            _joined(actions),
            allowed,
            plain and not combined,
        )


def _split(tokens: Sequence[str], word: str) -> Iterator[list[str]]:
    part: list[str] = []
    for each in tokens[1:]:
        if each == word:
            yield part
            part = []
        else:
            part.append(each)
    yield part


def _actions(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    lower = [each.lower() for each in tokens]
    at = lower.index("action") if "action" in lower else len(tokens)
    return list(tokens[:at]), [each for each in tokens[at + 1 :]]


def _joined(tokens: Sequence[str]) -> str:
    text = " ".join(tokens)
    return text.replace(" ;", ";").replace(" ,", ",").rstrip("; ")
