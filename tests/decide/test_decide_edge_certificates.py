"""Which certificate a host shows, what is ordered and when, and what raises the alarm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from havre.edge.certificates import decide
from havre.edge.certificates.model import Certificate, Order, Site, covers

DAY = decide.DAY_MS
NOW = 1000 * DAY


def certificate(*names: str, **more: Any) -> Certificate:
    values: dict[str, Any] = {
        "id": "cert_1", "kind": "own", "owner_id": "orga_1", "names": names, "issuer": "x", "fingerprint": "",
        "not_before": NOW - 10 * DAY, "not_after": NOW + 80 * DAY, "created_at": 0,
    }  # fmt: skip
    return Certificate(**(values | more))


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (("a.test",), "a.test", True),
        (("*.a.test",), "x.a.test", True),
        (("*.a.test",), "a.test", False),
        (("*.a.test",), "x.y.a.test", False),
        (("*.a.test",), "*.a.test", True),
        (("x.a.test",), "*.a.test", False),
        (("*.test",), "*.a.test", False),
    ],
)
def test_a_wildcard_covers_one_label(names: tuple[str, ...], host: str, good: bool) -> None:
    assert covers(names, host) is good


def test_an_owners_own_goes_before_the_operators_and_that_before_an_ordered_one() -> None:
    site = Site("www.a.test", "orga_1")
    own = certificate("www.a.test", id="own")
    operator = certificate("*.a.test", id="operator", owner_id=None, not_after=NOW + 400 * DAY)
    ordered = certificate("www.a.test", id="ordered", kind="acme", owner_id=None, not_after=NOW + 500 * DAY)
    for held, best in (
        ([ordered, operator, own], own),
        ([ordered, operator], operator),
        ([ordered], ordered),
        ([], None),
    ):
        assert decide.choose([site], held, now=NOW) == {site: best}


owners = st.sampled_from([None, "orga_1", "orga_2"])
hosts = st.sampled_from(["www.a.test", "*.a.test", "a.test", "www.b.test"])
some = st.builds(
    lambda id, owner, names, begin, end: certificate(
        *names, id=f"cert_{id}", owner_id=owner, not_before=NOW + begin * DAY, not_after=NOW + end * DAY
    ),
    st.integers(0, 99), owners, st.lists(hosts, min_size=1, max_size=2), st.integers(-9, 2), st.integers(-2, 9),
)  # fmt: skip


@given(st.lists(st.builds(Site, hosts, owners)), st.lists(some))
def test_what_is_shown_is_valid_covers_the_host_and_is_the_owners_or_the_operators(
    sites: list[Site], held: list[Certificate]
) -> None:
    for site, shown in decide.choose(sites, held, now=NOW).items():
        if shown is not None:
            assert shown.covers(site.host) and shown.not_after > NOW
            assert shown.owner_id in (None, site.owner_id)
            fit = [each for each in held if each.covers(site.host) and each.owner_id in (None, site.owner_id)]
            assert shown.not_before <= NOW or not [each for each in fit if each.not_before <= NOW < each.not_after]


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("www.a.test", True),
        ("*.a.test", False),
        ("localhost", False),
        ("x.havre.localhost", False),
        ("10.0.0.1", False),
        ("a", False),
    ],
)
def test_only_what_an_authority_could_reach_is_ordered(host: str, may: bool) -> None:
    site = Site(host)
    assert decide.may_be_ordered(site) is may
    assert bool(decide.decide_orders({site: None}, {}, now=NOW)) is may


def test_a_host_is_ordered_when_it_has_nothing_and_again_in_the_last_third() -> None:
    site = Site("www.a.test")
    fresh = certificate("www.a.test", kind="acme", not_before=NOW, not_after=NOW + 90 * DAY)
    at = decide.renew_at(fresh)
    assert at == NOW + 60 * DAY
    assert decide.decide_orders({site: None}, {}, now=NOW) == ("www.a.test",)
    assert decide.decide_orders({site: fresh}, {}, now=at - 1) == ()
    assert decide.decide_orders({site: fresh}, {}, now=at) == ("www.a.test",)
    assert decide.decide_orders({site: certificate("www.a.test")}, {}, now=at) == (), (
        "somebody's own is not ours to renew"
    )
    assert decide.next_order_at({site: fresh}, {}) == at
    assert decide.next_order_at({site: fresh}, {"www.a.test": Order("www.a.test", 1, "", at + 5)}) == at + 5
    assert decide.next_order_at({Site("localhost"): None}, {}) is None


@given(st.integers(0, 200), st.floats(0, 1))
def test_a_failed_order_is_tried_again_later_each_time_and_within_a_day_and_a_quarter(
    tries: int, chance: float
) -> None:
    order = Order("a.test")
    pauses = []
    for _ in range(tries + 1):
        order = decide.after_failure(order, "why", now=NOW, chance=chance)
        pauses.append(order.next_at - NOW)
    assert pauses == sorted(pauses) and pauses[0] >= decide.MINUTE_MS and pauses[-1] <= decide.PAUSE_MOST_MS * 1.25
    assert decide.decide_orders({Site("a.test"): None}, {"a.test": order}, now=order.next_at) == ("a.test",)
    assert decide.decide_orders({Site("a.test"): None}, {"a.test": order}, now=order.next_at - 1) == ()


@pytest.mark.parametrize(("left_days", "level"), [(30, 0), (21, 1), (3.5, 1), (3, 2), (0.1, 2), (0, 3), (-5, 3)])
def test_the_alarm_rises_as_an_end_nears(left_days: float, level: int) -> None:
    end = NOW + int(left_days * DAY)
    assert decide.level_of(certificate("a.test", not_before=end - 365 * DAY, not_after=end), now=NOW) == level


@pytest.mark.parametrize(("left_days", "level"), [(30, 0), (16, 0), (15, 1), (3, 2), (0, 3)])
def test_of_an_ordered_certificate_the_alarm_means_that_renewals_fail(left_days: float, level: int) -> None:
    end = NOW + int(left_days * DAY)
    assert (
        decide.level_of(certificate("a.test", kind="acme", not_before=end - 90 * DAY, not_after=end), now=NOW) == level
    )


def test_an_ordered_certificate_that_nobody_shows_is_nobodys_trouble() -> None:
    ended = {"not_before": NOW - 90 * DAY, "not_after": NOW - DAY}
    old, own = certificate("a.test", kind="acme", id="old", **ended), certificate("a.test", id="own", **ended)
    alarms = decide.decide_alarms([old, own], {Site("a.test"): None}, now=NOW)
    assert [each.certificate.id for each in alarms] == ["own"]


def test_the_choice_is_made_again_when_a_certificate_begins_or_ends() -> None:
    held = [certificate("a.test", not_before=NOW + 5, not_after=NOW + 50), certificate("b.test", not_after=NOW + 9)]
    assert decide.next_change_at(held, now=NOW) == NOW + 5
    assert decide.next_change_at(held, now=NOW + 5) == NOW + 9
    assert decide.next_change_at(held, now=NOW + 50) is None
