"""What registries, validated caches and the daemon say about an intent, gathered for preflight and for filters."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from havre.base.errors import HavreError, InvalidError, UnavailableError
from havre.drivers import rtr
from havre.kernel.clock import Clock
from havre.network import preflight
from havre.network.model import Family, Intent
from havre.network.preflight import look
from havre.network.registries import filters, vrps
from havre.network.registries.vrps import Vrps

OF_REGISTRIES = (
    "route-object", "both-origins", "as-set-member", "as-set-acyclic", "roa-new-origin", "roa-old-origin",
    "roa-max-length", "roa-as0", "aut-num",
)  # fmt: skip
OF_SESSIONS = ("export-limit", "prefix-length", "first-as", "timers")


async def registries(intent: Intent, *, clock: Clock, both_origins: bool = True) -> preflight.Report:
    """What registries and RPKI say: the checks that have to be clear before anything is announced."""
    seen = await _seen(intent, clock)
    return preflight.run(intent, seen, both_origins=both_origins, only=OF_REGISTRIES)


async def everything(intent: Intent, *, clock: Clock) -> preflight.Report:
    """All checks, on what can be looked at without touching anything."""
    return preflight.run(intent, await _seen(intent, clock))


def sessions(intent: Intent) -> preflight.Report:
    """What can be said of our sessions from the intent alone."""
    return preflight.run(intent, preflight.Evidence(), only=OF_SESSIONS)


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
            return vrps.table(vrps.read(Path(intent.registry.vrps))), ""
        host, _, port = intent.policies.rtr.rpartition(":")
        if host:
            client: rtr.Client[Vrps] = rtr.Client(rtr.Cache(host.strip("[]"), int(port)), Vrps, clock=clock)
            return await client.once(), ""
    except (HavreError, OSError) as error:
        return None, str(error)
    return None, ""
