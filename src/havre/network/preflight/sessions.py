"""Checks of what our sessions and filters are going to do. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from havre.network.model import LONGEST, Family, Intent, Upstream
from havre.network.preflight.model import Evidence, Finding, Result

__all__ = [
    "anti_spoof",
    "bogons",
    "export_limit",
    "filter_list",
    "filters_proven",
    "first_as",
    "import_limit",
    "prefix_length",
    "restarts",
    "rov",
    "timers",
]
VIEW = {4: 1_050_000, 6: 240_000}
"""Routes of a full view where nobody counted what a neighbour sends."""
MARGIN = 1.2


def export_limit(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """What a neighbour lets us send is at least a fifth more than we are going to."""
    for each in intent.upstreams:
        for family in each.families:
            subject, planned = f"{each.name} IPv{family}", len(intent.own(family))
            needed, allowed = math.ceil(planned * MARGIN), each.limits.exported(family)
            if not allowed:
                told = f"not known; {planned} planned"
                advice = (
                    f"ask AS{each.asn} for its limit, {needed} or more, and write it into limits.export_ipv{family}"
                )
                yield Finding("export-limit", subject, Result.WARNING, told, advice)
            elif allowed < needed:
                told = f"{allowed} allowed, {planned} planned: with a fifth to spare {needed} are needed"
                yield Finding("export-limit", subject, Result.STOP, told, f"have AS{each.asn} raise it to {needed}")
            else:
                yield Finding("export-limit", subject, Result.OK, f"{allowed} allowed, {planned} planned")


def import_limit(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """What we let a neighbour send is at least a fifth more than it does: past the limit the session goes down."""
    for each in intent.upstreams:
        for family in each.families:
            counted = seen.received.get((each.name, family))
            if counted is None and not each.kind.carries_everything:
                continue
            view = VIEW[family] if counted is None else counted
            needed, ours = math.ceil(view * MARGIN), each.limits.imported(family)
            source = "a full view" if counted is None else "it sends"
            subject, told = f"{each.name} IPv{family}", f"{ours} allowed, {source} {view}"
            if ours < needed:
                advice = f"set limits.import_ipv{family} to {needed}"
                yield Finding("import-limit", subject, Result.STOP, f"{told}: {needed} are needed", advice)
            else:
                yield Finding("import-limit", subject, Result.OK, told)


def prefix_length(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Nothing longer than the Internet takes is announced."""
    for own in intent.prefixes:
        longest = LONGEST[own.prefix.family]
        if own.prefix.length > longest:
            told = f"longer than /{longest}: most networks refuse it"
            yield Finding("prefix-length", str(own.prefix), Result.STOP, told, f"announce a /{longest} or shorter")
        else:
            yield Finding("prefix-length", str(own.prefix), Result.OK, f"not longer than /{longest}")


def bogons(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Reserved prefixes and numbers are refused from outside."""
    if intent.policies.bogons:
        yield Finding("bogons", "imports", Result.OK, "reserved prefixes and numbers are refused")
    else:
        yield Finding("bogons", "imports", Result.STOP, "policies.bogons is off", "set policies.bogons: true")


def rov(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Origins that ROAs forbid are refused from outside."""
    if intent.policies.rov == "reject" and intent.policies.rtr:
        yield Finding("rov", "imports", Result.OK, f"invalid origins are refused, as {intent.policies.rtr} says")
    elif intent.policies.rov == "reject":
        told = "no cache is configured: every origin is unknown"
        yield Finding("rov", "imports", Result.WARNING, told, "set policies.rtr to a validated cache")
    else:
        told = f"policies.rov is {intent.policies.rov}"
        yield Finding("rov", "imports", Result.WARNING, told, "set policies.rov: reject once a cache is there")


def first_as(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """A neighbour's routes begin with its own number."""
    if intent.policies.first_as:
        told = "enforced, but for route servers, which leave themselves out"
        yield Finding("first-as", "imports", Result.OK, told)
    else:
        told = "a neighbour may pass for another"
        yield Finding("first-as", "imports", Result.STOP, told, "set policies.first_as: true")


def filters_proven(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """The daemon itself, given the generated filters, takes and tells what it should and nothing else."""
    if seen.cases is None:
        advice = (
            "install bird2 (frr, too, and be root, for edges that run it), so that the generated filters can be tried"
        )
        yield Finding("filters-proven", "generated filters", Result.UNKNOWN, "the daemon was not asked", advice)
        return
    by_filter: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for each in seen.cases:
        counts[each.filter] = counts.get(each.filter, 0) + 1
        wrong = by_filter.setdefault(each.filter, [])
        if each.is_taken != each.is_wanted:
            wrong.append(f"{each.what} {each.route} {'passes' if each.is_taken else 'does not pass'}")
    for name, wrong in by_filter.items():
        if wrong:
            advice = "this is ours to mend: report it with the generated configuration"
            yield Finding("filters-proven", name, Result.STOP, "; ".join(wrong[:5]), advice)
        else:
            yield Finding("filters-proven", name, Result.OK, f"{counts[name]} routes judged as they should be")


def anti_spoof(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Packets with our addresses leave through each neighbour: only probes bound to it can tell."""
    for each in intent.upstreams:
        if not each.kind.carries_everything:
            continue
        for family in each.families:
            subject = f"{each.name} IPv{family}"
            probe = None if seen.outbound is None else seen.outbound.get((each.name, family))
            if probe is not None and probe.words:
                yield Finding("anti-spoof", subject, Result.OK, f"confirmed: {probe.words}")
            elif probe is None or not probe.sent:
                advice = f"name edges.probes and observers.targets, so that {each.name} is probed, or ask AS{each.asn}"
                advice += " and say so in a file (--evidence)"
                yield Finding("anti-spoof", subject, Result.UNKNOWN, "no probe was sent", advice)
            elif not probe.answered:
                told = f"{probe.sent} probes, none answered: our source addresses are filtered, or nothing comes back"
                advice = f"have AS{each.asn} take our prefixes into its source filter (it is built of the IRR)"
                yield Finding("anti-spoof", subject, Result.STOP, told, advice)
            elif probe.answered < probe.sent:
                told = f"{probe.answered} of {probe.sent} answered"
                yield Finding("anti-spoof", subject, Result.WARNING, told, "look at the link before it carries traffic")
            else:
                yield Finding("anti-spoof", subject, Result.OK, f"{probe.answered} of {probe.sent} answered")


def timers(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Hold time, BFD and graceful restart go together: what finds a failure must not be overruled by what hides one."""
    for each in intent.upstreams:
        yield _timers(each)


def _timers(each: Upstream) -> Finding:
    hold, graceful, bfd = each.timers.hold_s, each.timers.graceful_restart_s, each.bfd
    if bfd is not None and graceful > 10:
        told = f"BFD with a graceful restart of {graceful} s: a real cut lasts {graceful} s"
        return Finding("timers", each.name, Result.STOP, told, "graceful_restart_s: 0, or 5 to 10 with BFD")
    if hold and hold < 3:
        return Finding("timers", each.name, Result.STOP, f"hold time {hold} s: BGP allows 0 or 3 and more", "hold_s: 9")
    if bfd is not None and bfd.interval_ms * bfd.multiplier < 150:
        told = f"BFD after {bfd.interval_ms * bfd.multiplier} ms: a busy router loses the session without a failure"
        return Finding("timers", each.name, Result.WARNING, told, "100 ms x 3 or more")
    if bfd is None and (hold == 0 or hold > 90):
        told = f"no BFD and a hold time of {hold} s: a silent cut lasts that long, or for ever with 0"
        return Finding("timers", each.name, Result.STOP, told, f"BFD where AS{each.asn} has it, else hold_s: 9")
    found = f"BFD {bfd.interval_ms} ms x {bfd.multiplier}" if bfd is not None else f"hold time {hold} s"
    return Finding("timers", each.name, Result.OK, f"{found}, graceful restart {graceful or 'off'}")


def filter_list(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """No filter of a peer is made of an empty list."""
    for each in intent.upstreams:
        if each.kind.carries_everything:
            continue
        for family in each.families:
            yield _filter_list(each, family, seen)


def _filter_list(each: Upstream, family: Family, seen: Evidence) -> Finding:
    subject = f"{each.name} IPv{family}"
    name = each.filters.as_set if each.filters else ""
    if not name:
        advice = "write filters.as_set for it"
        return Finding("filter-list", subject, Result.STOP, f"a {each.kind.value} without an as-set", advice)
    if seen.lists is None:
        return Finding("filter-list", subject, Result.UNKNOWN, f"{name} was not asked for", "name a registry for it")
    found = seen.lists.get((each.name, family), ())
    if not found:
        told = f"{name} has no IPv{family} prefix: an empty list never becomes a filter"
        return Finding(
            "filter-list", subject, Result.STOP, told, f"ask AS{each.asn} for the set it means, or leave the family out"
        )
    return Finding("filter-list", subject, Result.OK, f"{len(found)} entries of {name}")


def restarts(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """A change restarts the sessions of one upstream at the most."""
    if seen.restarts is None:
        yield Finding(
            "session-restarts", "the change", Result.UNKNOWN, "not compared", "let `havre network plan` compare"
        )
    elif len(seen.restarts) > 1:
        told = f"the sessions of {', '.join(seen.restarts)} would start again at once"
        yield Finding("session-restarts", "the change", Result.STOP, told, "bring it out one upstream at a time")
    else:
        told = f"{seen.restarts[0]} alone" if seen.restarts else "none"
        yield Finding("session-restarts", "the change", Result.OK, f"sessions that start again: {told}")
