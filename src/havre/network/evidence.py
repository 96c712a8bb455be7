"""What registries, validated caches and the daemon say about an intent, gathered for preflight and for filters."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

from havre.base.errors import HavreError, InvalidError, UnavailableError
from havre.drivers import rtr
from havre.drivers.irr import RpslObject
from havre.kernel.clock import Clock
from havre.network import decide, engines, preflight
from havre.network import plan as plans
from havre.network.changes import Texts
from havre.network.model import Family, Intent
from havre.network.preflight import frrtrial, look, told, trial
from havre.network.registries import filters, roas, submissions, vrps
from havre.network.registries.vrps import Vrps
from havre.network.sight import Sight

OF_REGISTRIES = (
    "route-object", "both-origins", "as-set-member", "as-set-acyclic", "roa-new-origin", "roa-old-origin",
    "roa-max-length", "roa-as0", "aut-num",
)  # fmt: skip
OF_SESSIONS = ("export-limit", "prefix-length", "first-as", "timers")


async def registries(intent: Intent, *, clock: Clock, both_origins: bool = True) -> preflight.Report:
    """What registries and RPKI say: the checks that have to be clear before anything is announced."""
    seen = await _seen(intent, clock)
    return preflight.run(intent, seen, both_origins=both_origins, only=OF_REGISTRIES)


async def everything(
    intent: Intent, folder: Path, *, before: Texts, outbound: told.Outbound | None = None, clock: Clock
) -> preflight.Report:
    """All checks, on what can be looked at without touching anything: registries, ROAs, the generated filters in a
    daemon of their own, what would start again, and probes through each neighbour alone, where edges can send some.

    folder: where lists are kept; before: what the edges' files are now; outbound: what is known of neighbours already.
    """
    seen = await _seen(intent, clock)
    probed, lost = await _outbound(intent, outbound or {}, clock)
    seen = dataclasses.replace(seen, outbound=probed, troubles=(*seen.troubles, *lost))
    directory = look.directory(dict(intent.registry.servers))
    cache = filters.Cache(folder / "filters")
    lists, troubles = await look.filter_lists(intent, directory, cache=cache, clock=clock)
    posture = decide.settled(intent)
    try:
        after = {each.name: engines.render(intent, each, posture, lists) for each in intent.edges}
        restarts: tuple[str, ...] | None = plans.plan(intent, posture, before=before, after=after).restarts
        cases: tuple[preflight.Case, ...] | None = await _proven(intent, after, lists, clock)
    except InvalidError as error:
        cases, restarts, troubles = None, None, (*troubles, error.message)
    except UnavailableError as error:  # a daemon is not here to be asked
        cases, troubles = None, (*troubles, error.message)
    said = (*seen.troubles, *troubles)
    seen = dataclasses.replace(seen, lists=lists, cases=cases, restarts=restarts, troubles=said)
    report = preflight.run(intent, seen)
    return dataclasses.replace(report, troubles=said)


async def _outbound(intent: Intent, known: told.Outbound, clock: Clock) -> tuple[told.Outbound, tuple[str, ...]]:
    """What comes back of what is sent through each neighbour alone, and why some could not be tried."""
    found, troubles = dict(known), list[str]()
    asked = [each for each in intent.upstreams if each.kind.carries_everything and intent.observers.targets]
    async with Sight(intent, clock=clock, has_packets=False) as sight:
        for each in asked:
            if all((each.name, family) in found for family in each.families):
                continue
            try:
                for family, (sent, answered) in (await sight.through(each)).items():
                    found.setdefault((each.name, family), preflight.Probe(sent, answered))
            except HavreError as error:
                troubles.append(error.message)
    return found, tuple(troubles)


async def _proven(intent: Intent, texts: Texts, lists: engines.FilterLists, clock: Clock) -> tuple[preflight.Case, ...]:
    """What each edge's daemon makes of routes with the filters that are generated for it."""
    names = [each.name for each in intent.upstreams]
    found: list[preflight.Case] = []
    for edge in intent.edges:
        puts = trial.cases(intent, edge, up=names, lists=lists)
        tried = frrtrial if edge.engine == "frr" else trial
        found += await tried.try_filters(texts[edge.name], puts, clock=clock)
    return tuple(found)


def sessions(intent: Intent) -> preflight.Report:
    """What can be said of our sessions from the intent alone."""
    return preflight.run(intent, preflight.Evidence(), only=OF_SESSIONS)


async def filings(intent: Intent, *, clock: Clock, is_cleaning: bool = False) -> list[str]:
    """What has to be filed, each ready to be submitted, in the safe order: ROAs, route objects, the set, the policy.
    What the registry has already is left out; where none is named nothing is known to be there."""
    known = await _known(intent)
    if is_cleaning:
        return [submissions.written(each) for each in submissions.for_cleaning(intent, known)]
    table, _ = await _table(intent, clock)
    plan = roas.compare(roas.wanted(intent), table if table is not None else vrps.table(()))
    made = [f"# ROA: {each} ({each.why})\n" for each in plan.missing]
    return [*made, *(submissions.written(each) for each in submissions.for_registering(intent, known))]


async def _known(intent: Intent) -> dict[tuple[str, str], RpslObject]:
    """What the registry that holds our objects has of them. Raises UnavailableError when it is silent: what is there
    must not be taken for missing."""
    directory = look.directory(dict(intent.registry.servers))
    registry = directory.get(intent.registry.source.upper())
    found: dict[tuple[str, str], RpslObject] = {}
    if registry is None:
        return found
    wanted = [("as-set", intent.registry.as_set.rpartition("::")[2].upper()), ("aut-num", f"AS{intent.asn}")]
    for own in intent.prefixes:
        kind = "route" if own.prefix.family == 4 else "route6"
        for origin in (own.old_origin, intent.asn):
            wanted += [(kind, f"{ipaddress.ip_network(str(own.prefix))}AS{origin}")] if origin else []
    for kind, key in wanted:
        seen = await registry.object(kind, key) if key else None
        if seen is not None:
            found[kind, key] = seen
    return found


async def lists_of(intent: Intent, folder: Path, *, clock: Clock) -> dict[tuple[str, Family], tuple[str, ...]]:
    """The prefixes of peers, from the registries, kept in `folder`. Raises UnavailableError for what is missing."""
    if not any(each.filters for each in intent.upstreams):
        return {}
    if not intent.registry.servers:
        raise InvalidError("peers' filters are built from registries: name one in registry.servers")
    directory = look.directory(dict(intent.registry.servers))
    found, troubles = await look.filter_lists(intent, directory, cache=filters.Cache(folder / "filters"), clock=clock)
    wanted = [(each.name, family) for each in intent.upstreams if each.filters for family in each.families]
    if missing := [f"{name} IPv{family}" for name, family in wanted if (name, family) not in found]:
        raise UnavailableError(f"no prefixes of {', '.join(missing)} are known: {'; '.join(troubles)}")
    return found


async def _seen(intent: Intent, clock: Clock) -> preflight.Evidence:
    directory = look.directory(dict(intent.registry.servers))
    table, trouble = await _table(intent, clock)
    seen = await look.look(intent, directory, table=table)
    return dataclasses.replace(seen, troubles=(*seen.troubles, *([trouble] if trouble else [])))


async def _table(intent: Intent, clock: Clock) -> tuple[Vrps | None, str]:
    """Validated ROAs: of a validator's file where one is named, else of the cache that the routers use."""
    try:
        if intent.registry.vrps:
            return vrps.table(vrps.read(Path(intent.registry.vrps), now_ms=clock.now())), ""
        host, _, port = intent.policies.rtr.rpartition(":")
        if host:
            client: rtr.Client[Vrps] = rtr.Client(rtr.Cache(host.strip("[]"), int(port)), Vrps, clock=clock)
            return await client.once(), ""
    except (HavreError, OSError) as error:
        return None, str(error)
    return None, ""
