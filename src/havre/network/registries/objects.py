"""The classes of objects that a migration touches: what each must have, and how ours are made. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from havre.base.errors import InvalidError
from havre.drivers.irr import RpslObject
from havre.drivers.irr import model as irr_model
from havre.drivers.irr.rpsl import Attribute, of
from havre.network.registries.vrps import Network

__all__ = ["MANDATORY", "check", "key", "route", "with_lines", "with_members", "without_members"]
MANDATORY: Mapping[str, tuple[str, ...]] = {
    "route": ("route", "origin", "mnt-by", "source"),
    "route6": ("route6", "origin", "mnt-by", "source"),
    "as-set": ("as-set", "tech-c", "admin-c", "mnt-by", "source"),
    "aut-num": ("aut-num", "as-name", "admin-c", "tech-c", "mnt-by", "source"),
    "mntner": ("mntner", "admin-c", "upd-to", "auth", "mnt-by", "source"),
    "inetnum": ("inetnum", "netname", "country", "admin-c", "tech-c", "status", "mnt-by", "source"),
    "inet6num": ("inet6num", "netname", "country", "admin-c", "tech-c", "status", "mnt-by", "source"),
}
"""What RIPE's templates want at least once."""


def key(each: RpslObject) -> str:
    """The key by which the object is asked for: for a route its prefix and its origin in one word."""
    if each.kind in ("route", "route6"):
        return f"{prefix(each)}{origin(each)}"
    return each.key.upper()


def prefix(each: RpslObject) -> Network:
    """The prefix of a route, route6 or inet6num. Raises InvalidError."""
    try:
        return ipaddress.ip_network(each.key)
    except ValueError as cause:
        raise InvalidError(f"{each.kind}: {each.key!r} is not a prefix") from cause


def origin(each: RpslObject) -> str:
    """The origin of a route, as `AS64500`. Raises InvalidError."""
    return irr_model.asn_word(each.first("origin"))


def check(each: RpslObject) -> None:
    """Raises InvalidError with everything that a registry would refuse in a class that we write."""
    wrong = [f"{name} is missing" for name in MANDATORY.get(each.kind, ("source",)) if not each.first(name)]
    if each.kind in ("route", "route6"):
        try:
            family = 4 if each.kind == "route" else 6
            if prefix(each).version != family:
                wrong.append(f"{each.key} is not of IPv{family}")
            origin(each)
        except InvalidError as error:
            wrong.append(error.message)
    if each.kind == "as-set":
        try:
            irr_model.set_word(each.key)
        except InvalidError as error:
            wrong.append(error.message)
        wrong += [f"{word} is not a member that a set has" for word in each.words("members") if not _is_member(word)]
    if each.kind == "aut-num":
        try:
            irr_model.asn_word(each.key)
        except InvalidError as error:
            wrong.append(error.message)
    if wrong:
        raise InvalidError(f"{each.kind} {each.key}: {'; '.join(wrong)}")


def route(prefix: Network, asn: int, *, maintainers: Sequence[str], source: str, descr: str = "") -> RpslObject:
    """A route or route6 object of ours."""
    pairs = [("route" if prefix.version == 4 else "route6", str(prefix))]
    pairs += [("descr", descr)] if descr else []
    pairs += [("origin", f"AS{asn}"), *(("mnt-by", each) for each in maintainers), ("source", source)]
    return of(pairs)


def with_members(each: RpslObject, words: Iterable[str]) -> RpslObject:
    """The set with these members too, behind those that it has; itself when it has them all."""
    have = {word.upper() for word in each.words("members", "mp-members")}
    more = [word for word in words if word.upper() not in have]
    if not more:
        return each
    attributes = list(each.attributes)
    at = max((i for i, one in enumerate(attributes) if one.name == "members"), default=0)
    attributes[at + 1 : at + 1] = [Attribute("members", word) for word in more]
    return RpslObject(tuple(attributes))


def with_lines(each: RpslObject, pairs: Iterable[tuple[str, str]]) -> RpslObject:
    """The object with these attributes too: behind the last of the same name, or before its contacts."""
    attributes = list(each.attributes)
    for name, text in pairs:
        same = [i for i, one in enumerate(attributes) if one.name == name]
        ends = ("admin-c", "tech-c", "org", "mnt-by", "source", "remarks")
        before = [i for i, one in enumerate(attributes) if i and one.name in ends]
        at = same[-1] + 1 if same else before[0] if before else len(attributes)
        attributes.insert(at, Attribute(name, text))
    return RpslObject(tuple(attributes))


def without_members(each: RpslObject, words: Iterable[str]) -> RpslObject:
    """The set without these members; comments of a line that loses all of its members go with it."""
    gone = {word.upper() for word in words}
    kept: list[Attribute] = []
    for one in each.attributes:
        if one.name not in ("members", "mp-members") or not gone & {word.upper() for word in one.words}:
            kept.append(one)
            continue
        left = [word for word in one.words if word.upper() not in gone]
        kept += [Attribute(one.name, ", ".join(left))] if left else []
    return RpslObject(tuple(kept))


def _is_member(word: str) -> bool:
    try:
        irr_model.asn_word(word)
    except InvalidError:
        try:
            irr_model.set_word(word)
        except InvalidError:
            return False
    return True
