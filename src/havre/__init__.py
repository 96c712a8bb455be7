"""Havre: a sovereign cloud platform that an organisation runs on machines it owns."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`, read where it is asked for: the small programs of ours never do."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("havre")
