"""What a change means: in words, in the daemons' configurations, and in what neighbours have to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from havre.network import changes
from havre.network.changes import Change, Texts
from havre.network.decide import Posture
from havre.network.model import Intent, Upstream, UpstreamKind

OURS = "Made by Havre"


@dataclass(frozen=True, slots=True)
class Plan:
    """words: one line for each thing that changes; differences: of each edge, as `diff -u`; requests: of each neighbour
    that begins; turns: how many rounds `apply` takes, more than one where sessions start again."""

    words: tuple[str, ...]
    differences: Mapping[str, str]
    requests: Mapping[str, str]
    turns: int
    restarts: tuple[str, ...]

    @property
    def is_nothing(self) -> bool:
        return not self.words


def plan(intent: Intent, posture: Posture, *, before: Texts, after: Texts) -> Plan:
    """before, after: the configuration of each edge; empty for an edge that has none yet."""
    found = [changes.change_of(edge, before.get(edge, ""), text) for edge, text in after.items()]
    restarted = tuple(sorted({_neighbor(each) for change in found for each in change.restarted}))
    begun = {_neighbor(each) for change in found for each in change.begun}
    words = [word for change in found for word in _words(change, is_ours=OURS in before.get(change.edge, ""))]
    if len(restarted) > 1:
        words.append(f"the sessions with {', '.join(restarted)} start again, one neighbour after the other")
    return Plan(
        words=tuple(words),
        differences={
            edge: changes.difference(edge, before.get(edge, ""), text)
            for edge, text in after.items()
            if text != before.get(edge, "")
        },
        requests={each.name: request(intent, each) for each in intent.upstreams if each.name in begun},
        turns=len(changes.rollout(before, after)),
        restarts=restarted,
    )


def request(intent: Intent, upstream: Upstream) -> str:
    """What a neighbour has to do for our sessions with it."""
    return "\n".join(_request(intent, upstream))


def _request(intent: Intent, upstream: Upstream) -> Iterator[str]:
    for link in upstream.links:
        yield f"a session from {link.neighbor} (AS{upstream.asn}) to {link.local} (AS{intent.asn})"
    for family in upstream.families:
        own = intent.own(family)
        yield f"accept from us {', '.join(str(each.prefix) for each in own)} with origin AS{intent.asn}"
        yield f"an IPv{family} prefix limit of {len(own) + (len(own) + 4) // 5} at least"
    if upstream.kind.carries_everything:
        yield "send us the full view; forward what we send from these prefixes (anti-spoofing filters)"
    else:
        yield "send us your own and your customers' routes alone"
    if intent.registry.as_set:
        yield f"build your filter from {intent.registry.as_set} (source {intent.registry.source})"
    if upstream.bfd is not None:
        yield f"BFD every {upstream.bfd.interval_ms} ms, {upstream.bfd.multiplier} missed"
    yield f"a hold time of {upstream.timers.hold_s} s" + (
        f", graceful restart of {upstream.timers.graceful_restart_s} s"
        if upstream.timers.graceful_restart_s
        else ", no graceful restart"
    )
    if upstream.kind is UpstreamKind.HISTORICAL:
        yield "keep your static route until we ask you to remove it"


def _words(change: Change, *, is_ours: bool) -> Iterator[str]:
    if not is_ours and not change.is_nothing:
        yield f"{change.edge}: what it runs now is not of our making and is replaced (see: havre network adopt)"
    for names, verb in (
        (change.begun, "begins"),
        (change.ended, "ends"),
        (change.restarted, "starts again: traffic leaves it meanwhile"),
        (change.retold, "changes what it takes or tells, and stays up"),
    ):
        for each in names:
            yield f"{change.edge}: the session {_spoken(each)} {verb}"
    if change.is_other:
        yield f"{change.edge}: its static routes, tables or definitions change; no session does"


def _neighbor(session: str) -> str:
    return session.removeprefix("up_").rpartition("_ipv")[0]


def _spoken(session: str) -> str:
    name, _, family = session.rpartition("_ipv")
    return f"with {name.removeprefix('up_').removeprefix('in_')} over IPv{family}"
