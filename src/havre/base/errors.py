"""The seven ways something goes wrong, classed by what the caller can do about it.

A driver turns every foreign exception into one of these, `from` its cause. A protocol's server
maps them to its own codes in one table; nobody else knows a status code.
"""

from __future__ import annotations


class HavreError(Exception):
    """Root of the seven. `message` is for the person; `facts` name the object, for the log."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class InvalidError(HavreError):
    """The request is wrong: fix it and send it again."""


class DeniedError(HavreError):
    """Known, and not allowed: ask an owner. `anonymous` means nobody is signed in."""

    def __init__(self, message: str, *, anonymous: bool = False, **facts: object) -> None:
        super().__init__(message, **facts)
        self.anonymous = anonymous


class NotFoundError(HavreError):
    """It is not there, or the caller may not know that it is."""


class ConflictError(HavreError):
    """The thing moved meanwhile, or is taken: look again."""


class ExhaustedError(HavreError):
    """A quota or a resource is used up: ask for more, or free some."""


class UnavailableError(HavreError):
    """Something that we need does not answer: try later."""


class BrokenError(HavreError):
    """Ours to mend: report it."""
