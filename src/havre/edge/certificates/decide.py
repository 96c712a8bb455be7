"""Pure decisions about certificates: which one a host shows, what to order, when to raise the alarm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from havre.edge.certificates.model import Alarm, Certificate, Order, Site

MINUTE_MS, DAY_MS = 60_000, 86_400_000
PAUSE_MOST_MS = DAY_MS
SOON_DAYS, LAST_DAYS = 21, 3


def choose(
    sites: Iterable[Site], certificates: Sequence[Certificate], *, now: int, doubted: int | None = None
) -> dict[Site, Certificate | None]:
    """For each site the certificate to show; None: one of the internal authority.

    Somebody's own goes before the operator's, and that before one that we ordered; among equals the one that lasts.
    Only the owner of a host is shown for it what they uploaded, and nothing is shown after its time. doubted: what the
    time is if the clock has jumped ahead: what is good then is shown, too, as visitors have another. What has not begun
    was good when we took it, so that the clock has been set back since: better than one that visitors do not know.
    """
    moments = (now,) if doubted is None else (now, doubted)
    usable = [each for each in certificates if any(each.not_before <= at < each.not_after for at in moments)]
    in_time, early = _by_name(usable), _by_name(each for each in certificates if now < each.not_before < each.not_after)
    return {site: _best(site, in_time) or _best(site, early) for site in sites}


def _by_name(certificates: Iterable[Certificate]) -> dict[str, list[Certificate]]:
    found: dict[str, list[Certificate]] = {}
    for each in certificates:
        for name in each.names:
            found.setdefault(name, []).append(each)
    return found


def next_change_at(certificates: Iterable[Certificate], *, now: int) -> int | None:
    """The next moment at which the choice changes by itself: a certificate begins, or ends."""
    moments = [moment for each in certificates for moment in (each.not_before, each.not_after) if moment > now]
    return min(moments, default=None)


def _best(site: Site, by_name: Mapping[str, Sequence[Certificate]]) -> Certificate | None:
    candidates = [*by_name.get(site.host, ())]
    if not site.host.startswith("*."):
        candidates += by_name.get("*." + site.host.partition(".")[2], ())
    allowed = [each for each in candidates if each.owner_id is None or each.owner_id == site.owner_id]
    return max(allowed, key=_rank, default=None)


def _rank(each: Certificate) -> tuple[int, int, int, str]:
    rank = 0 if each.kind == "acme" else 1 if each.owner_id is None else 2
    return rank, each.not_after, each.created_at, each.id


def may_be_ordered(site: Site) -> bool:
    """Whether a certificate authority could prove the host by HTTP-01: no wildcard, no address, nothing local."""
    host = site.host
    is_local = host == "localhost" or host.endswith(".localhost") or "." not in host
    return not (host.startswith("*.") or is_local or ":" in host or host.rpartition(".")[2].isdigit())


def decide_orders(
    chosen: Mapping[Site, Certificate | None], orders: Mapping[str, Order], *, now: int
) -> tuple[str, ...]:
    """Return the hosts to order for now: what has no certificate of somebody, and what is in its last third."""
    due = []
    for site, certificate in chosen.items():
        if not may_be_ordered(site) or (certificate is not None and certificate.kind != "acme"):
            continue
        order = orders.get(site.host)
        if order is not None and order.next_at > now:
            continue
        if certificate is None or now >= renew_at(certificate):
            due.append(site.host)
    return tuple(sorted(due))


def renew_at(certificate: Certificate) -> int:
    """When two thirds of its life have passed."""
    return certificate.not_after - (certificate.not_after - certificate.not_before) // 3


def next_order_at(chosen: Mapping[Site, Certificate | None], orders: Mapping[str, Order]) -> int | None:
    """The next moment at which something may be due."""
    moments = []
    for site, certificate in chosen.items():
        if may_be_ordered(site) and (certificate is None or certificate.kind == "acme"):
            tried = orders[site.host].next_at if site.host in orders else 0
            moments.append(max(tried, renew_at(certificate) if certificate else 0))
    return min(moments, default=None)


def after_failure(order: Order, error: str, *, now: int, chance: float) -> Order:
    """The next try comes later each time, from a minute to a day, and never not at all.

    chance: 0 to 1; spreads the tries of many hosts by a quarter of the pause.
    """
    pause = min(PAUSE_MOST_MS, MINUTE_MS * 2 ** min(order.failures, 20))
    return Order(order.host, order.failures + 1, error[:500], now + pause + int(pause * chance / 4))


def decide_alarms(
    certificates: Iterable[Certificate], chosen: Mapping[Site, Certificate | None], *, now: int
) -> tuple[Alarm, ...]:
    """Return the alarms that hold now, the most urgent first; each is told once, see `Certificate.warned`.

    For what somebody uploaded: three weeks and three days before its end, and when it has ended. What we order
    ourselves is renewed long before: the alarm means that renewals fail, and comes when a sixth of its life is left.
    An ordered certificate that a site no longer shows is nobody's trouble.
    """
    served: dict[str, list[str]] = {}
    for site, certificate in chosen.items():
        if certificate is not None:
            served.setdefault(certificate.id, []).append(site.host)
    found = []
    for each in certificates:
        hosts = tuple(sorted(served.get(each.id, ())))
        level = level_of(each, now=now)
        if level and (hosts or each.kind == "own"):
            found.append(Alarm(each, level, hosts))
    return tuple(sorted(found, key=lambda alarm: (-alarm.level, alarm.certificate.not_after)))


def level_of(certificate: Certificate, *, now: int) -> int:
    left, life = certificate.not_after - now, certificate.not_after - certificate.not_before
    soon = SOON_DAYS * DAY_MS if certificate.kind == "own" else life // 6
    last = min(LAST_DAYS * DAY_MS, life // 12)
    return 3 if left <= 0 else 2 if left <= last else 1 if left <= min(soon, life // 3) else 0
