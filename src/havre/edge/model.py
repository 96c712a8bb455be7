"""The nouns of the edge: a vhost is one name of one app; an entry is what stands for it where the proxy looks.

A name (`fqdn`) is `host`, `host/prefix` or `*.domain`, in lower case (the prefix keeps its case), without port and
without a final slash. The path prefix is not taken away from the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from havre.base.errors import InvalidError
from havre.base.ids import AppId, OwnerId
from havre.base.names import host_name

PREFIX_DEPTH = 3
_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}")


@dataclass(frozen=True, slots=True)
class Vhost:
    """A name of an app. At most one vhost of an app is its favourite."""

    fqdn: str
    app_id: AppId
    owner_id: OwnerId
    is_default: bool
    is_favourite: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name in its parts. `prefix` has no slash at its ends; empty for the whole host."""

    host: str
    prefix: str = ""

    @property
    def fqdn(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host

    @property
    def is_wildcard(self) -> bool:
        return self.host.startswith("*.")


@dataclass(frozen=True, slots=True)
class Domain:
    """What names are checked against. `name_limit`: bytes that a name may have, because of the sockets' paths."""

    base: str
    name_limit: int = 70

    @property
    def reserved(self) -> frozenset[str]:
        """The platform's own: `edge` is what the records of custom domains lead to."""
        return frozenset({"localhost", self.base, *(f"{label}.{self.base}" for label in ("api", "console", "edge"))})


def parse_name(text: str, domain: Domain) -> Name:
    """The normal form of `text`. Raises InvalidError with what is wrong; a name that is reserved is invalid too."""
    host_text, slash, rest = text.strip().partition("/")
    if not host_text or ":" in text or "?" in text or "#" in text:
        raise _invalid(text, "a domain is a host name, with a path or without, such as www.example.com/api")
    try:
        host: str = host_name(host_text)
    except InvalidError as cause:
        raise _invalid(text, "it is not a host name such as www.example.com") from cause
    labels = host.split(".")
    if len(labels) < 2 and host not in domain.reserved:
        raise _invalid(text, "it needs a dot, such as www.example.com")
    if labels[-1].isdigit() or labels[-1] == "sock":
        raise _invalid(text, "its last label cannot be the end of a domain")
    name = Name(host, _prefix(text, rest if slash else ""))
    if len(name.fqdn) > domain.name_limit:
        raise _invalid(text, f"it is longer than {domain.name_limit} characters")
    _check_reserved(text, name, domain)
    return name


def prefixes_of(path: str) -> list[str]:
    """The prefixes that a name of this request may have, the longest first; as the proxy sees it.

    path: decoded, without query. What follows a segment that cannot be in a name is not looked at.
    """
    segments: list[str] = []
    for each in path.removeprefix("/").split("/")[:PREFIX_DEPTH]:
        if not _SEGMENT.fullmatch(each):
            break
        segments.append(each)
    return ["/".join(segments[:depth]) for depth in range(len(segments), 0, -1)]


def _prefix(text: str, rest: str) -> str:
    path = rest.strip("/")
    segments = path.split("/") if path else []
    if not all(_SEGMENT.fullmatch(each) and not each.endswith(".sock") for each in segments):
        raise _invalid(text, "its path may have letters, digits and . _ ~ - between its slashes")
    if len(segments) > PREFIX_DEPTH:
        raise _invalid(text, f"its path has more than {PREFIX_DEPTH} parts")
    return path


def _check_reserved(text: str, name: Name, domain: Domain) -> None:
    if name.host in domain.reserved:
        raise _invalid(text, "this name belongs to the platform")
    if name.host.endswith("." + domain.base):
        label = name.host.removesuffix("." + domain.base)
        if "." in label or name.is_wildcard:
            raise _invalid(text, f"below {domain.base} a name has one label, such as shop.{domain.base}")


def _invalid(text: str, why: str) -> InvalidError:
    return InvalidError(f"Domain {text!r} is invalid: {why}", fqdn=text)


# what the proxy sees

Tree = Literal["force-https", "routes", "known", "down", "sticky", "long", "s", "slots", "tcp", "l", "k"]
LINKS: frozenset[Tree] = frozenset({"routes", "s", "slots", "tcp", "l", "k"})
"""The trees of symlinks; the others are flags, empty files."""


class Key(NamedTuple):
    """One file: `name` inside the directory of `tree`. (A tuple: there are several for each host.)"""

    tree: Tree
    name: str


Entries = Mapping[Key, str]
"""What stands in the directories: what a link leads to, an app or an instance's socket; the empty text for a flag."""


@dataclass(frozen=True, slots=True)
class Served:
    """A vhost as it is wanted at the proxy. mark: of the link that connections are kept under; empty: none are.
    is_plain: a host without prefixes, which a request can be led to at once."""

    name: str
    app_id: str
    is_forced: bool = False
    is_sticky: bool = False
    mark: str = ""
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is there. listening: apps whose instances may come back to their socket; accepting: for each app that has
    instances that accept, their doors (`<generation>-<number>.sock`), as far as they have any; given_up: apps that
    were waited for long enough; units: for each app what tells the very instances that accept from all others."""

    listening: frozenset[str] = frozenset()
    accepting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given_up: frozenset[str] = frozenset()
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Redirection:
    """A public TCP port that leads to port 4040 of an app. One (namespace, port) is one app's."""

    port: int
    namespace: str
    app_id: AppId
    owner_id: OwnerId
    created_at: int


@dataclass(frozen=True, slots=True)
class Put:
    key: Key
    value: str


@dataclass(frozen=True, slots=True)
class Drop:
    key: Key


Step = Put | Drop
