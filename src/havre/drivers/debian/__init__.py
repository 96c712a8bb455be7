"""Stacks: trees of Debian packages unpacked without root, for what units see as their root.

`Stacks` finds or makes them; docs/explanation/stacks.md tells how. What the packages' scripts would do is in `fixes`.
"""

from havre.drivers.debian.apt import missing
from havre.drivers.debian.model import Closure, Package, Stack, differences, may_follow, parse_uris
from havre.drivers.debian.stacks import REFRESH_S, Stacks, Tell, silent

__all__ = [
    "REFRESH_S",
    "Closure",
    "Package",
    "Stack",
    "Stacks",
    "Tell",
    "differences",
    "may_follow",
    "missing",
    "parse_uris",
    "silent",
]
