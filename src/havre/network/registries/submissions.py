"""What a migration files in the registries, object by object, ready to be submitted. Pure.

In the order in which it is safe: ROAs first, because registries delete a route object that a ROA forbids; then route
objects of the new origin beside those of the old one; then the set and the policy. The old objects go last, in CLEANED.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from havre.drivers.irr import RpslObject, rpsl
from havre.network.model import Intent, Upstream
from havre.network.registries import objects, policy

__all__ = ["Action", "Known", "Submission", "for_cleaning", "for_registering", "written"]
Known = Mapping[tuple[str, str], RpslObject]
"""What a registry has now, by class and key (see `objects.key`)."""


class Action(StrEnum):
    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Submission:
    """One object to be created, modified or deleted. `who`: whose authorisation the registry asks for."""

    action: Action
    object: RpslObject
    why: str
    who: str

    @property
    def name(self) -> str:
        return f"{self.action} {self.object.kind} {objects.key(self.object)}"


def for_registering(intent: Intent, known: Known) -> tuple[Submission, ...]:
    """What has to be filed before a migration begins; what the registry has already is left out.

    `known` has to hold the set and the aut-num if there are any: they are modified, and a modification that forgets
    what was there deletes it.
    """
    registry, found = intent.registry, list[Submission]()
    for own in intent.prefixes:
        prefix = ipaddress.ip_network(str(own.prefix))
        made = objects.route(prefix, intent.asn, maintainers=_maintainers(intent), source=registry.source)
        if (made.kind, objects.key(made)) not in known:
            who = f"the maintainer of the address space of {prefix} (its mnt-routes, mnt-lower or mnt-by)"
            found.append(Submission(Action.CREATE, made, f"transits build their filters for AS{intent.asn} of it", who))
    return (*found, *_set(intent, known), *_policy(intent, known))


def for_cleaning(intent: Intent, known: Known) -> tuple[Submission, ...]:
    """What is taken away once the new origin serves alone."""
    found = []
    for own in intent.prefixes:
        if own.old_origin is None:
            continue
        kind = "route" if own.prefix.family == 4 else "route6"
        there = known.get((kind, f"{ipaddress.ip_network(str(own.prefix))}AS{own.old_origin}"))
        if there is not None:
            why = f"AS{own.old_origin} announces {own.prefix} no more"
            found.append(Submission(Action.DELETE, there, why, " or ".join(there.words("mnt-by"))))
    return tuple(found)


def written(submission: Submission) -> str:
    """The submission as a registry's e-mail or sync form reads it; comments for the person before it."""
    text = rpsl.written(submission.object)
    if submission.action is Action.DELETE:
        text += f"{'delete:':<{rpsl.COLUMN}}{submission.why}\n"
    return f"# {submission.name}\n# why: {submission.why}\n# authorised by: {submission.who}\n{text}"


def _set(intent: Intent, known: Known) -> tuple[Submission, ...]:
    name = intent.registry.as_set.rpartition("::")[2].upper()
    if not name:
        return ()
    why = f"transits that build their filters of {name} find AS{intent.asn} there"
    there = known.get(("as-set", name))
    if there is not None:
        made = objects.with_members(there, [f"AS{intent.asn}"])
        return () if made is there else (Submission(Action.MODIFY, made, why, " or ".join(there.words("mnt-by"))),)
    pairs = [("as-set", name), ("descr", f"AS{intent.asn} and its customers"), ("members", f"AS{intent.asn}")]
    pairs += _contacts(intent)
    return (Submission(Action.CREATE, rpsl.of(pairs), why, intent.registry.maintainer or "your maintainer"),)


def _policy(intent: Intent, known: Known) -> tuple[Submission, ...]:
    there = known.get(("aut-num", f"AS{intent.asn}"))
    said = policy.neighbours(there) if there is not None else {}
    pairs = [line for each in intent.upstreams for line in _lines(intent, each, said)]
    why = "import and export name every upstream"
    if there is None:
        head = [("aut-num", f"AS{intent.asn}"), ("as-name", f"AS-OF-{intent.asn}")]
        made = rpsl.of([*head, *pairs, *_contacts(intent)])
        return (Submission(Action.CREATE, made, why, intent.registry.maintainer or "your maintainer"),)
    if not pairs:
        return ()
    made = objects.with_lines(there, pairs)
    return (Submission(Action.MODIFY, made, why, " or ".join(there.words("mnt-by"))),)


def _lines(intent: Intent, upstream: Upstream, said: Mapping[int, policy.Neighbour]) -> tuple[tuple[str, str], ...]:
    neighbour = said.get(upstream.asn)
    families = [each for each in upstream.families if neighbour is None or not neighbour.says(each)]
    accept = upstream.filters.as_set if upstream.filters else f"AS{upstream.asn}"
    ours = intent.registry.as_set.rpartition("::")[2].upper() or f"AS{intent.asn}"
    taken = "ANY" if upstream.kind.carries_everything else accept.rpartition("::")[2]
    return policy.lines(upstream.asn, families, accept=taken, announce=ours)


def _maintainers(intent: Intent) -> list[str]:
    return [intent.registry.maintainer or "YOUR-MNT"]


def _contacts(intent: Intent) -> list[tuple[str, str]]:
    """What a registry wants in every object; handles of people are theirs to fill in."""
    return [
        ("admin-c", "YOUR-HANDLE"),
        ("tech-c", "YOUR-HANDLE"),
        ("mnt-by", _maintainers(intent)[0]),
        ("source", intent.registry.source),
    ]
