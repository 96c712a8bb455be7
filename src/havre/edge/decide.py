"""What to change in the proxy's directories: pure, additions first.

The order inside a name matters too. Putting: it is sent to HTTPS before it is served, and its route stands before it
is known. Dropping goes the other way. So between any two steps a visitor meets the app that is wanted, the one that
was, or none; never a known name without a route. First of all goes up, and last comes down, what closes the way that
asks nobody (`at_once`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from havre.edge.model import Drop, Entries, Key, Presence, Put, Redirection, Served, Step, Tree

WILD = "_."
SPELL_QUIET_S = 120.0
_ORDER: dict[Tree, int] = {
    "long": -1,
    "force-https": 0,
    "routes": 1,
    "slots": 2,
    "s": 3,
    "sticky": 4,
    "known": 5,
    "down": 6,
    "tcp": 7,
    "l": 8,
    "k": 9,
}


def wanted_entries(
    served: Iterable[Served],
    presence: Presence,
    *,
    redirections: Iterable[Redirection] = (),
    slots: Sequence[str] = (),
) -> dict[Key, str]:
    """What should stand in the directories. slots: the names of the slots that visitors of a sticky app fall into."""
    wanted: dict[Key, str] = {}
    sticky: set[str] = set()
    for each in served:
        wanted[Key("routes", each.name)] = each.app_id
        wanted[Key("known", each.name)] = ""
        if each.is_forced:
            wanted[Key("force-https", each.name)] = ""
        if is_down(each.app_id, presence):
            wanted[Key("down", each.name)] = ""
        elif each.mark and not each.is_sticky:
            wanted[Key("l", f"{each.name}/{each.mark}{token_of(each.app_id, presence)}")] = each.app_id
        if each.is_sticky:
            wanted[Key("sticky", each.name)] = ""
            wanted[Key("s", each.name)] = each.app_id
            sticky.add(each.app_id)
    for app_id in sticky:
        spread = spread_slots(presence.accepting.get(app_id, ()), slots)
        wanted |= {Key("slots", f"{app_id}/{slot}"): door for slot, door in spread.items()}
    wanted |= {Key("tcp", str(each.port)): each.app_id for each in redirections}
    return wanted


def at_once(served: Collection[Served], presence: Presence, seen: Entries, *, is_whole: bool) -> dict[Key, str]:
    """What should stand where a request is led without a look at who has the name; a part of what is wanted.

    Connections are kept under `k/<host>.sock`, which does not change with the instances: one that accepts no more
    declines. It must not change with the app either, as long as the proxy lives that has connections under it. So a
    host that was ever led there stays led there, and where that is not whom it should meet, `long` closes this way;
    until no instance of that app is left, and so no connection. is_whole: whether `presence` tells of all apps.
    """
    led = {key.name: app_id for key, app_id in seen.items() if key.tree == "k"}
    if is_whole:
        led = {name: app_id for name, app_id in led.items() if app_id in presence.listening | presence.accepting.keys()}
    may = {
        each.name: each.app_id
        for each in served
        if each.is_plain and not each.is_sticky and each.app_id in presence.accepting
    }
    hosts = {host_of(each.name) for each in served if not each.name.startswith(WILD)}
    found: dict[Key, str] = {}
    for name in hosts | led.keys():
        if app_id := led.get(name) or may.get(name):
            found[Key("k", name)] = app_id
        if not app_id or app_id != may.get(name):
            found[Key("long", name)] = ""
    return found


def host_of(name: str) -> str:
    """The name of the host of a name with a prefix, or itself."""
    host, slash, _ = name.partition("/")
    return f"{host}.sock" if slash else name


def is_down(app_id: str, presence: Presence) -> bool:
    """Whether visitors are told at once that the app does not run; else they wait, until they have waited enough."""
    is_waited_for = app_id in presence.listening and app_id not in presence.given_up
    return app_id not in presence.accepting and not is_waited_for


def token_of(app_id: str, presence: Presence) -> str:
    """What connections that the proxy keeps are kept under: another whenever another set of instances accepts, and
    another for each app. So no request goes to an instance that accepts no more, or to the app that had the name."""
    said = "\n".join((app_id, *sorted(presence.units.get(app_id, ()))))
    return base64.b32encode(hashlib.blake2b(said.encode(), digest_size=5).digest()).decode().lower()


def spread_slots(doors: Collection[str], slots: Sequence[str]) -> dict[str, str]:
    """Which instance each slot leads to: evenly, and moving as few as can be when instances come or go.

    doors: `<generation>-<number>.sock` of the instances that accept. While two generations do, the newer has the
    slots; a slot stays with its number, so that a visitor keeps their place across a deploy.
    Rendezvous hashing with a bound on each instance's share.
    """
    newest = max((generation_of(each) for each in doors), default=0)
    current = sorted(each for each in doors if generation_of(each) == newest)
    if len(current) < 2:
        return {}  # the app's own socket leads to the only one there is
    most = -(-len(slots) // len(current))
    held = dict.fromkeys(current, 0)
    spread = {}
    for slot in slots:
        for door in sorted(current, key=lambda each, slot=slot: _weight(slot, each), reverse=True):  # type: ignore[misc]
            if held[door] < most:
                spread[slot] = door
                held[door] += 1
                break
    return spread


def generation_of(door: str) -> int:
    return int(door.partition("-")[0])


def _weight(slot: str, door: str) -> bytes:
    number = door.partition("-")[2]
    return hashlib.blake2b(f"{slot} {number}".encode(), digest_size=8).digest()


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


def free_port(taken: Collection[int], *, first: int, last: int) -> int | None:
    """The lowest port of the range that nobody has."""
    return next((port for port in range(first, last + 1) if port not in taken), None)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time of many visitors who stall: since when, the most that were seen, and when they were last many."""

    began_at_s: float
    many_at_s: float
    most: int


def decide_spell(spell: Spell | None, stalled: int, *, many: int, now_s: float) -> Spell | None:
    """The spell that goes on, begins, or (None) is over. Who comes and goes in waves makes one: it lasts until
    `SPELL_QUIET_S` after they were last half as many."""
    if spell is None:
        return Spell(now_s, now_s, stalled) if stalled >= many else None
    if stalled * 2 >= many:
        return Spell(spell.began_at_s, now_s, max(spell.most, stalled))
    return spell if now_s - spell.many_at_s < SPELL_QUIET_S else None
