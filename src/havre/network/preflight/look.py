"""Gathers evidence: asks the registries that upstreams build their filters of, each for what it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from havre.base.errors import DeniedError, HavreError, InvalidError, NotFoundError, UnavailableError
from havre.drivers import irr
from havre.drivers.irr import model as irr_model
from havre.kernel.clock import Clock
from havre.network.model import Family, Intent
from havre.network.preflight.model import Evidence, network
from havre.network.registries import filters, sets
from havre.network.registries.vrps import Network, Vrps

__all__ = ["Directory", "directory", "filter_lists", "look"]
Directory = Mapping[str, irr.Registry]
"""Of each source, by its name in capitals, where it is asked."""
PORT = 43


def directory(addresses: Mapping[str, str]) -> Directory:
    """`{"RIPE": "whois://whois.example:43", "RADB": "irrd://..."}` as registries, each asked for its source alone.

    Raises InvalidError for an address that is not one.
    """
    found: dict[str, irr.Registry] = {}
    for name, address in addresses.items():
        source, at = irr_model.source_word(name), urlsplit(address)
        try:
            host, port = at.hostname, at.port or PORT
        except ValueError as cause:
            raise InvalidError(f"registry {name}: {address!r} has no such port") from cause
        if not host or at.path.strip("/") or at.query:
            raise InvalidError(f"registry {name}: {address!r} is not irrd://host:port or whois://host:port")
        found[source] = irr.registry(at.scheme, irr.Endpoint(host, port, (source,)))
    return found


async def look(intent: Intent, registries: Directory, *, table: Vrps | None = None) -> Evidence:
    """What registries and RPKI say about us. What does not answer is told in `troubles`, and not looked at."""
    troubles: list[str] = []
    origins: dict[tuple[str, Network], frozenset[int]] = {}
    for source in dict.fromkeys(each.upper() for one in intent.upstreams for each in one.irr_sources):
        registry = registries.get(source)
        if registry is None:
            troubles.append(f"no registry is configured for the source {source}")
            continue
        try:
            for own in intent.prefixes:
                found = await registry.origins(network(own))
                origins[source, network(own)] = frozenset(int(word[2:]) for word in found)
        except (UnavailableError, DeniedError, InvalidError) as error:
            troubles.append(error.message)
    members, has_set = await _members(intent, registries, troubles)
    autnum, has_autnum = await _autnum(intent, registries, troubles)
    return Evidence(
        origins=origins,
        members=members,
        has_set=has_set,
        autnum=autnum,
        has_autnum=has_autnum,
        table=table,
        troubles=tuple(dict.fromkeys(troubles)),
    )


async def filter_lists(
    intent: Intent, registries: Directory, *, cache: filters.Cache, clock: Clock
) -> tuple[dict[tuple[str, Family], tuple[str, ...]], tuple[str, ...]]:
    """What the filters of peers are made of, and what was wrong with those that are missing."""
    found: dict[tuple[str, Family], tuple[str, ...]] = {}
    troubles: list[str] = []
    for each in intent.upstreams:
        if each.filters is None:
            continue
        chosen = _chosen(registries, each.filters.sources or each.irr_sources)
        for family in each.families:
            asked = filters.Asked(each.filters.as_set, family)
            try:
                made = await filters.prefix_list(asked, chosen, cache=cache, clock=clock)
            except HavreError as error:
                troubles.append(f"{each.name} IPv{family}: {error.message}")
                continue
            found[each.name, family] = made.bird()
            if made.error:
                troubles.append(f"{each.name} IPv{family}: the last list stands in: {made.error}")
    return found, tuple(troubles)


def _chosen(registries: Directory, sources: Sequence[str]) -> list[irr.Registry]:
    return [registries[each.upper()] for each in sources if each.upper() in registries]


async def _members(intent: Intent, registries: Directory, troubles: list[str]) -> tuple[sets.Members | None, bool]:
    name, chosen = intent.registry.as_set, list(registries.values())
    if not name or not chosen:
        return None, True
    try:
        return await sets.resolve(name, chosen), True
    except NotFoundError:
        return None, False
    except HavreError as error:
        troubles.append(error.message)
        return None, True


async def _autnum(intent: Intent, registries: Directory, troubles: list[str]) -> tuple[irr.RpslObject | None, bool]:
    preferred = _chosen(registries, [intent.registry.source]) or list(registries.values())
    for registry in preferred:
        try:
            found = await registry.object("aut-num", f"AS{intent.asn}")
        except HavreError as error:
            troubles.append(error.message)
            return None, True
        if found is not None:
            return found, True
    return None, not preferred
