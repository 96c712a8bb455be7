"""Names that people give, checked at the edge.

A function returns the normal form or raises InvalidError with what was wrong and what is accepted.
"""

from __future__ import annotations

import re
from typing import NewType

from havre.base.errors import InvalidError

HostName = NewType("HostName", str)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SLUG = re.compile(r"[^a-z0-9]+")


def host_name(text: str) -> HostName:
    """Lower-case, without a final dot (RFC 1123 section 2.1). A first label `*` is a wildcard."""
    normal = text.strip().lower().rstrip(".")
    labels = normal.split(".")
    rest = labels[1:] if labels[0] == "*" and len(labels) > 2 else labels
    if not normal or len(normal) > 253 or not all(_LABEL.fullmatch(label) for label in rest):
        raise InvalidError(
            f"Invalid domain: {text!r} is not a host name (letters, digits, hyphens, dots, such as www.example.com)"
        )
    return HostName(normal)


def env_name(text: str) -> str:
    """The name of an environment variable: letters, digits, `_`, and for the JVM `-` and `.`; no digit first."""
    if len(text) > 256 or not _ENV.fullmatch(text):
        raise InvalidError(
            f"{text!r} is not a name for a variable: letters, digits and underscores, not starting with a digit"
        )
    return text


def display_name(text: str, *, what: str) -> str:
    """A human's name for a thing: one line, 1 to 80 characters."""
    normal = text.strip()
    if not normal or len(normal) > 80 or any(ord(char) < 32 for char in normal):
        raise InvalidError(f"the name of {what} must be one line of 1 to 80 characters")
    return normal


def slug(text: str) -> str:
    """A host label made of `text`; empty when nothing of it can stand in one."""
    return _SLUG.sub("-", text.lower()).strip("-")[:40].strip("-")
