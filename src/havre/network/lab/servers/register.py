"""A routing registry in memory: RPSL files read into indexes, and what may be asked of them. Pure but for the reading.

A file that changed is read again before the next question is answered, so a laboratory makes an object appear late, or
vanish, by writing a file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from havre.drivers.irr import rpsl

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ROUTES = {4: "route", 6: "route6"}
SETS = ("as-set", "route-set")


@dataclass
class Register:
    """The objects, by class and key, and by the inverse keys that people ask for."""

    found: dict[tuple[str, str], list[rpsl.RpslObject]] = field(default_factory=dict)
    by_origin: dict[str, list[rpsl.RpslObject]] = field(default_factory=dict)
    by_prefix: dict[Network, list[rpsl.RpslObject]] = field(default_factory=dict)
    by_reference: dict[tuple[str, str], list[rpsl.RpslObject]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)

    def add(self, each: rpsl.RpslObject) -> None:
        self.found.setdefault((each.kind, key_of(each)), []).append(each)
        source = each.first("source").upper()
        if source and source not in self.sources:
            self.sources.append(source)
        if each.kind in ROUTES.values():
            self.by_prefix.setdefault(ipaddress.ip_network(each.key), []).append(each)
            self.by_origin.setdefault(each.first("origin").upper(), []).append(each)
        for name in ("origin", "mnt-by", "member-of", "admin-c", "tech-c", "org"):
            for word in each.words(name):
                self.by_reference.setdefault((name, word.upper()), []).append(each)

    def get(self, kind: str, key: str, *, sources: Iterable[str] = ()) -> rpsl.RpslObject | None:
        return next(iter(allowed(self.found.get((kind, normal(kind, key)), ()), sources)), None)

    def routes(self, origin: str, family: int, *, sources: Iterable[str] = ()) -> list[str]:
        """The prefixes that `origin` may announce, each once, in the order of the files."""
        found = allowed(self.by_origin.get(origin.upper(), ()), sources)
        return list(dict.fromkeys(each.key for each in found if each.kind == ROUTES[family]))

    def members(self, name: str, *, sources: Iterable[str] = ()) -> list[str] | None:
        """The direct members of a set, with those that refer to it (mbrs-by-ref); None: there is no such set."""
        found = self.get("as-set", name, sources=sources) or self.get("route-set", name, sources=sources)
        if found is None:
            return None
        words = list(found.words("members", "mp-members"))
        trusted = {word.upper() for word in found.words("mbrs-by-ref")}
        for each in allowed(self.by_reference.get(("member-of", name.upper()), ()), sources):
            if "ANY" in trusted or trusted & {word.upper() for word in each.words("mnt-by")}:
                words.append(each.key)
        return list(dict.fromkeys(word.upper() if word.upper().startswith("AS") else word for word in words))

    def resolved(self, name: str, *, sources: Iterable[str] = ()) -> list[str] | None:
        """The autonomous systems of an as-set, whatever it contains; a set that contains itself is read once."""
        if self.members(name, sources=sources) is None:
            return None
        seen, left, found = {name.upper()}, [name], dict[str, None]()
        while left:
            for word in self.members(left.pop(), sources=sources) or ():
                if word[:2] == "AS" and word[2:].isdecimal():
                    found[word] = None
                elif word.upper() not in seen:
                    seen.add(word.upper())
                    left.append(word)
        return list(found)

    def at(self, prefix: Network, *, sources: Iterable[str] = (), how: str = "exact") -> list[rpsl.RpslObject]:
        """The route objects at `prefix` (exact), at all that cover it (less), or inside it (more)."""
        if how == "exact":
            return list(allowed(self.by_prefix.get(prefix, ()), sources))
        found = [at for at in self.by_prefix if at.version == prefix.version and covers(at, prefix, how=how)]
        found.sort(key=lambda at: (-at.prefixlen, at), reverse=how == "more")
        return [each for at in found for each in allowed(self.by_prefix[at], sources)]


class Files:
    """The register of a set of files and folders (`*.rpsl`, `*.db`), read again when one of them changed."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._stamps: tuple[tuple[str, int, int], ...] | None = None
        self._register = Register()

    def read(self) -> Register:
        """The register as the files are now. Raises InvalidError when a file is not RPSL."""
        stamps = tuple((str(each), each.stat().st_mtime_ns, each.stat().st_size) for each in self._files())
        if stamps != self._stamps:
            made = Register()
            for each in self._files():
                for one in rpsl.objects(each.read_text(), name=each.name):
                    made.add(one)
            self._register, self._stamps = made, stamps
        return self._register

    def _files(self) -> Iterator[Path]:
        for path in self._paths:
            inside = sorted([*path.glob("*.rpsl"), *path.glob("*.db")]) if path.is_dir() else [path]
            yield from inside


def allowed(found: Iterable[rpsl.RpslObject], sources: Iterable[str]) -> Iterator[rpsl.RpslObject]:
    wanted = [each.upper() for each in sources]
    if not wanted:
        yield from found
        return
    yield from (each for source in wanted for each in found if each.first("source").upper() == source)


def covers(at: Network, prefix: Network, *, how: str) -> bool:
    outer, inner = (at, prefix) if how == "less" else (prefix, at)
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def key_of(each: rpsl.RpslObject) -> str:
    if each.kind in ROUTES.values():
        return f"{normal(each.kind, each.key)}{each.first('origin').upper()}"
    return normal(each.kind, each.key)


def normal(kind: str, key: str) -> str:
    """The key as it is compared: upper case, a prefix in its short form."""
    key = "".join(key.split()) if kind in ROUTES.values() else key
    prefix, at, origin = key.upper().partition("AS") if kind in ROUTES.values() else (key.upper(), "", "")
    if kind in ROUTES.values():
        try:
            return f"{ipaddress.ip_network(prefix)}{at}{origin}".upper()
        except ValueError:
            return key.upper()
    return prefix
