"""Checks of what registries and RPKI say about us. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from havre.base.errors import InvalidError
from havre.network.model import Intent, Upstream
from havre.network.preflight.model import Evidence, Finding, Result, network
from havre.network.registries import origins, policy, roas
from havre.network.registries.vrps import Network

__all__ = [
    "as_set_acyclic",
    "as_set_member",
    "aut_num",
    "both_origins",
    "roa_as0",
    "roa_max_length",
    "roa_new",
    "roa_old",
    "route_object",
]


def route_object(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """A route object of the new origin stands in every source that a transit builds its filters of."""
    for source, prefix, users in _places(intent):
        subject = f"{prefix} AS{intent.asn} in {source}"
        found = None if seen.origins is None else seen.origins.get((source, prefix))
        if found is None:
            yield Finding("route-object", subject, Result.UNKNOWN, "not asked", _ask(source))
        elif intent.asn in found:
            yield Finding("route-object", subject, Result.OK, f"there, as {', '.join(users)} need")
        else:
            advice = f"file a {'route' if prefix.version == 4 else 'route6'} object of AS{intent.asn} there, then wait"
            told = f"not there: {_named(found)}; {', '.join(users)} would refuse us"
            yield Finding("route-object", subject, Result.STOP, told, f"{advice} until {', '.join(users)} loaded it")


def both_origins(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """While the migration goes on, both origins have their route objects wherever one of them has."""
    old = {network(own): own.old_origin for own in intent.prefixes if own.old_origin}
    for source, prefix, _ in _places(intent):
        before = old.get(prefix)
        if before is None:
            continue
        subject = f"{prefix} AS{before} + AS{intent.asn} in {source}"
        found = None if seen.origins is None else seen.origins.get((source, prefix))
        if found is None:
            yield Finding("both-origins", subject, Result.UNKNOWN, "not asked", _ask(source))
        elif {before, intent.asn} <= found:
            strangers = found - {before, intent.asn}
            told = f"also {_named(frozenset(strangers))}" if strangers else "both there"
            yield Finding("both-origins", subject, Result.OK, told)
        else:
            missing = sorted({int(before), int(intent.asn)} - found)
            told = f"{_named(found)}; missing: {', '.join(f'AS{each}' for each in missing)}"
            advice = "keep the old object until CLEANED, and file the new one: without both there is no way back"
            yield Finding("both-origins", subject, Result.STOP, told, advice)


def as_set_member(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Our set contains our number."""
    name = intent.registry.as_set
    if not name:
        yield Finding("as-set-member", f"AS{intent.asn}", Result.OK, "no set: upstreams filter by our number alone")
    elif not seen.has_set:
        yield Finding("as-set-member", name, Result.STOP, "no registry has it", f"create it with AS{intent.asn} in it")
    elif seen.members is None:
        yield Finding("as-set-member", name, Result.UNKNOWN, "not asked", _ask(intent.registry.source))
    elif f"AS{intent.asn}" not in seen.members.origins:
        told = f"leads to {len(seen.members.origins)} systems, and not to AS{intent.asn}"
        yield Finding("as-set-member", name, Result.STOP, told, f"add AS{intent.asn} to its members")
    elif seen.members.missing:
        told = f"has AS{intent.asn}, and names sets that nobody has: {', '.join(seen.members.missing[:5])}"
        yield Finding("as-set-member", name, Result.WARNING, told, "take these members out")
    else:
        yield Finding(
            "as-set-member", name, Result.OK, f"has AS{intent.asn}, {len(seen.members.origins)} systems in all"
        )


def as_set_acyclic(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Our set does not contain itself: some who build filters of it give up, or take it for empty."""
    name = intent.registry.as_set
    if not name or not seen.has_set:
        return
    if seen.members is None:
        yield Finding("as-set-acyclic", name, Result.UNKNOWN, "not asked", _ask(intent.registry.source))
    elif seen.members.loops:
        way = " > ".join(seen.members.loops[0])
        yield Finding("as-set-acyclic", name, Result.STOP, f"contains itself: {way}", "take one member of that way out")
    else:
        yield Finding("as-set-acyclic", name, Result.OK, f"{len(seen.members.sets)} sets, none inside itself")


def roa_new(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """A ROA allows the new origin exactly what it will announce."""
    for own in intent.prefixes:
        yield _roa(
            "roa-new-origin",
            network(own),
            intent.asn,
            seen,
            "before any route object: a ROA of the old origin alone deletes it",
        )


def roa_old(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """The old origin keeps its ROA: without it the way back is closed."""
    for own in intent.prefixes:
        if own.old_origin:
            yield _roa(
                "roa-old-origin", network(own), own.old_origin, seen, "it stays until CLEANED: it is the way back"
            )


def roa_max_length(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """No ROA of ours, or of the old origin, allows more than is announced (RFC 9319)."""
    wanted = roas.wanted(intent)
    for own in intent.prefixes:
        prefix = network(own)
        if seen.table is None:
            yield Finding("roa-max-length", str(prefix), Result.UNKNOWN, "no validated ROAs", ROA_ASK)
            continue
        loose = roas.compare([each for each in wanted if each.prefix == prefix], seen.table).loose
        if loose:
            told = f"{'; '.join(map(str, loose))}: whoever forges that number may announce a part of it and be valid"
            yield Finding("roa-max-length", str(prefix), Result.STOP, told, f"set maxLength to {own.roa_length}")
        elif own.roa_length > prefix.prefixlen:
            told = f"the intent asks for /{own.roa_length} where /{prefix.prefixlen} is announced"
            advice = "leave max_length out unless the parts are announced at once (RFC 9319, 5)"
            yield Finding("roa-max-length", str(prefix), Result.WARNING, told, advice)
        else:
            yield Finding(
                "roa-max-length", str(prefix), Result.OK, f"nothing longer than /{prefix.prefixlen} is allowed"
            )


def roa_as0(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """No ROA says that nobody may announce us."""
    wanted = roas.wanted(intent)
    for own in intent.prefixes:
        prefix = network(own)
        if seen.table is None:
            yield Finding("roa-as0", str(prefix), Result.UNKNOWN, "no validated ROAs", ROA_ASK)
            continue
        nobody = roas.compare([each for each in wanted if each.prefix == prefix], seen.table).nobody
        if nobody:
            told = f"{'; '.join(map(str, nobody))}: the space counts as not in use"
            yield Finding("roa-as0", str(prefix), Result.STOP, told, "have it taken away by who holds the space")
        else:
            yield Finding("roa-as0", str(prefix), Result.OK, "no ROA of AS0 covers it")


def aut_num(intent: Intent, seen: Evidence) -> Iterator[Finding]:
    """Our aut-num names every upstream in both directions and in each family that it has."""
    name = f"AS{intent.asn}"
    if not seen.has_autnum:
        yield Finding("aut-num", name, Result.STOP, "no registry has it", "register the number's aut-num object")
        return
    if seen.autnum is None:
        yield Finding("aut-num", name, Result.UNKNOWN, "not asked", _ask(intent.registry.source))
        return
    try:
        said = policy.neighbours(seen.autnum)
    except InvalidError as error:
        yield Finding("aut-num", name, Result.STOP, error.message, "mend the attribute: nobody can read it")
        return
    for each in intent.upstreams:
        yield _policy_of(intent, each, said)


def _policy_of(intent: Intent, each: Upstream, said: dict[int, policy.Neighbour]) -> Finding:
    subject, neighbour = f"AS{intent.asn} to {each.name} (AS{each.asn})", said.get(each.asn)
    missing = [family for family in each.families if neighbour is None or not neighbour.says(family)]
    if not missing:
        return Finding("aut-num", subject, Result.OK, "import and export name it")
    told = f"no import and export for {' and '.join(f'IPv{family}' for family in missing)}"
    return Finding("aut-num", subject, Result.STOP, told, "add the lines that `havre network plan` prints")


def _roa(check: str, prefix: Network, asn: int, seen: Evidence, why: str) -> Finding:
    subject = f"{prefix} AS{asn}"
    if seen.table is None:
        return Finding(check, subject, Result.UNKNOWN, "no validated ROAs", ROA_ASK)
    verdict = origins.validate(seen.table, prefix, asn)
    if verdict.state is origins.State.VALID:
        return Finding(check, subject, Result.OK, str(verdict))
    what = (
        "would be refused everywhere that validates" if verdict.state is origins.State.INVALID else "stands on nothing"
    )
    advice = f"make a ROA {prefix} maxLength {prefix.prefixlen} AS{asn}, {why}"
    return Finding(check, subject, Result.STOP, f"{verdict}; the route {what}", advice)


ROA_ASK = "give an RTR cache (policies.rtr) or a validator's JSON"


def _places(intent: Intent) -> Iterator[tuple[str, Network, list[str]]]:
    """Each source and prefix that somebody builds filters of, with who does."""
    users: dict[str, dict[Upstream, None]] = {}
    for each in intent.upstreams:
        for source in each.irr_sources:
            users.setdefault(source.upper(), {})[each] = None
    for source, of in users.items():
        for own in intent.prefixes:
            names = [each.name for each in of if own.prefix.family in each.families]
            if names:
                yield source, network(own), names


def _named(found: frozenset[int]) -> str:
    return ", ".join(f"AS{each}" for each in sorted(found)) if found else "nobody has one"


def _ask(source: str) -> str:
    return f"name a registry that has the source {source}, and see that it answers"
