"""An intent from what people have: the sessions of a running BIRD or FRR and, where it is given, an aut-num. Pure.

What cannot be known stands in the file as a comment that says so; the file is read by people before anything uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from havre.drivers.bird import Session
from havre.network.model import LONGEST, Prefix

ANY = re.compile(r"^(?:mp-)?import:.*\bfrom\s+AS(\d+)\b.*\baccept\s+(.+?)\s*$", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Found:
    """A running daemon. sessions: of BGP alone; exported: what each session tells its neighbour; socket: where it is
    asked, empty for what is usual."""

    router_id: str
    sessions: tuple[Session, ...]
    exported: Mapping[str, Sequence[str]]
    engine: str = "bird"
    socket: str = ""


def policy_of(aut_num: str) -> dict[int, str]:
    """Of an aut-num (RPSL): what is accepted from each neighbour, `ANY` or an as-set. What begins with a blank or +
    goes on the line before."""
    text = re.sub(r"\n[ \t+]+", " ", re.sub(r"[ \t]*#.*", "", aut_num))
    found: dict[int, str] = {}
    for matched in ANY.finditer(text):
        asn, accepted = int(matched[1]), matched[2].rstrip(";")
        if found.get(asn) != "ANY":
            found[asn] = accepted.upper() if accepted.upper() == "ANY" else accepted
    return found


def adopt(found: Found, *, edge: str, site: str, aut_num: str = "") -> str:
    """The YAML of an intent."""
    return "\n".join(_lines(found, edge, site, policy_of(aut_num))) + "\n"


def _lines(found: Found, edge: str, site: str, policy: Mapping[int, str]) -> Iterator[str]:
    outside = [each for each in found.sessions if each.neighbor_asn != each.local_asn]
    asn = next((each.local_asn for each in found.sessions if each.local_asn), 0)
    running = {"bird": "BIRD", "frr": "FRR"}[found.engine]
    yield f"# Adopted from a running {running}. Read it: what could not be known is said where it belongs."
    yield f"asn: {asn}"
    yield "prefixes:"
    own = sorted({prefix for each in outside for prefix in found.exported.get(each.name, ()) if _is_announced(prefix)})
    for prefix in own:
        yield f'  - prefix: "{prefix}"'
    for family in (4, 6):
        if not any((":" in each) == (family == 6) for each in own):
            yield f"  # no IPv{family} prefix is announced today: name yours here"
    yield "sites:"
    yield f"  {site}:"
    yield "    edges:"
    yield f"      {edge}:"
    yield f"        router_id: {found.router_id}"
    inside = {
        ":" in each.source: each.source
        for each in found.sessions
        if each.neighbor_asn == each.local_asn and each.source
    }
    loopbacks = [inside[each] for each in (False, True) if each in inside]
    if len(loopbacks) == 2:
        yield f'        loopbacks: [{loopbacks[0]}, "{loopbacks[1]}"]'
    else:
        yield "        loopbacks: [] # one IPv4 and one IPv6 address of this router in your own network"
    if found.engine != "bird":
        yield f"        engine: {found.engine}"
    if found.socket:
        yield f"        socket: {found.socket}"
    yield "upstreams:"
    neighbors: dict[int, list[Session]] = {}
    for each in outside:
        neighbors.setdefault(each.neighbor_asn, []).append(each)
    for number, sessions in neighbors.items():
        yield from _upstream(number, sessions, edge, policy)


def _upstream(asn: int, sessions: Sequence[Session], edge: str, policy: Mapping[int, str]) -> Iterator[str]:
    """One neighbour. Two sessions of one family have to be two upstreams: the second is told in a comment."""
    yield f"  {_name(sessions[0].name, asn)}:"
    accepted = policy.get(asn, "")
    imported = max(each.imported for each in sessions)
    is_transit = accepted == "ANY" or (not accepted and imported > 500_000)
    why = f"aut-num: accept {accepted}" if accepted else f"guessed: it sends {imported} routes today"
    yield f"    kind: {'transit' if is_transit else 'peer'} # {why}"
    yield f"    asn: {asn}"
    yield f"    edge: {edge}"
    seen = set()
    for each in sorted(sessions, key=lambda each: ":" in each.neighbor):
        family = 6 if ":" in each.neighbor else 4
        if family in seen:
            yield f"    # another IPv{family} session, {each.name} with {each.neighbor}: give it an upstream of its own"
            continue
        seen.add(family)
        unknown = "" if each.source else " # the address of our end is not told while the session is down"
        yield f'    ipv{family}: {{ local: "{each.source}", neighbor: "{each.neighbor}" }}{unknown}'
    if len(seen) == 1:
        yield f"    only: ipv{next(iter(seen))} # there is no session of the other family today"
    if not is_transit:
        yield f"    filters: {{ as_set: {accepted if accepted else f'AS{asn}'} }}"
    if sessions[0].hold_s:
        yield f"    hold_s: {sessions[0].hold_s}"


def _name(session: str, asn: int) -> str:
    name = re.sub(r"_?(ipv?|v)[46]$", "", session.lower())
    name = re.sub(r"[^a-z0-9_]", "_", name.removeprefix("up_"))[:20].strip("_")
    return name if re.match(r"[a-z]", name) else f"as{asn}"


def _is_announced(prefix: str) -> bool:
    parsed = Prefix(prefix)
    return 0 < parsed.length <= LONGEST[parsed.family]
