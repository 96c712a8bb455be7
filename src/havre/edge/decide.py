"""What to change in the proxy's directories: pure, additions first.

The order inside a name matters too. Putting: it is sent to HTTPS before it is served, and its route stands before it
is known. Dropping goes the other way. So between any two steps a visitor meets the app that is wanted, the one that
was, or none; never a known name without a route.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from havre.edge.model import Drop, Entries, Key, Put, Served, Step, Tree

_ORDER: dict[Tree, int] = {"force-https": 0, "routes": 1, "known": 2, "down": 3}


def wanted_entries(served: Iterable[Served], listening: Collection[str]) -> dict[Key, str]:
    """What should stand in the directories. `listening`: the apps at whose socket somebody listens."""
    wanted: dict[Key, str] = {}
    for each in served:
        wanted[Key("routes", each.name)] = each.app_id
        wanted[Key("known", each.name)] = ""
        if each.is_forced:
            wanted[Key("force-https", each.name)] = ""
        if each.app_id not in listening:
            wanted[Key("down", each.name)] = ""
    return wanted


def decide_routes(wanted: Entries, seen: Entries) -> tuple[Step, ...]:
    """Return the steps that turn `seen` into `wanted`.

    A name that moves to another app is put over, never dropped and put back: between the two a visitor would meet
    a 404.
    """
    puts = [Put(key, value) for key, value in wanted.items() if seen.get(key) != value]
    drops = [Drop(key) for key in seen if key not in wanted]
    puts.sort(key=lambda step: (_ORDER[step.key.tree], step.key.name))
    drops.sort(key=lambda step: (-_ORDER[step.key.tree], step.key.name))
    return (*puts, *drops)
