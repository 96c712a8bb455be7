"""Configurations of routing daemons, as text made purely from an intent and a posture.

Each engine is a sibling with one function, `render`; the same driver suite runs on what both make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from havre.network.decide import Posture
from havre.network.engines import bird, frr
from havre.network.model import Edge, Family, Intent

FilterLists = Mapping[tuple[str, Family], Sequence[str]]
"""Of an upstream and a family: the prefixes that it may send, as the IRR has them."""


def render(intent: Intent, edge: Edge, posture: Posture, lists: FilterLists) -> str:
    """The whole configuration of `edge`. Raises InvalidError when the prefixes of a peer are not known: an empty list
    is a hard stop, never a filter."""
    if edge.engine == "frr":
        return frr.render(intent, edge, posture, lists)
    return bird.render(intent, edge, posture, lists)
