"""Where a name leads, and what its owner is told to do about it."""

from __future__ import annotations

import pytest

from havre.base.errors import InvalidError
from havre.edge.certificates.model import Certificate, Order, Site
from havre.edge.certificates.states import CertificateState, Leaf, decide_state
from havre.edge.leads import Found, Home, Led, Record, asked_for, decide_lead
from havre.edge.lookup import servers_of

HOME = Home("edge.apps.example.org", ("192.0.2.10", "8.8.4.4", "2001:4860::44"))
PUBLIC = Home("edge.apps.example.org", ("8.8.4.4",))
DAY_MS = 86_400_000
NOW = 1_800_000_000_000
LEAF = Leaf("Havre Local Root", NOW + 60 * DAY_MS)


@pytest.mark.parametrize(
    ("found", "lead"),
    [
        (Found("found", ("8.8.4.4",)), "here"),
        (Found("found", ("8.8.4.4", "2001:4860::44")), "here"),
        (Found("found", ("8.8.4.4", "1.1.1.1")), "partly"),
        (Found("found", ("1.1.1.1",)), "elsewhere"),
        (Found("found", ("1.1.1.1",), "edge.apps.example.org"), "here"),
        (Found("nowhere"), "nowhere"),
        (Found("unanswered"), "unanswered"),
    ],
)
def test_a_name_leads_here_when_every_address_of_it_is_ours(found: Found, lead: str) -> None:
    assert decide_lead("www.shop.example", found, HOME).lead == lead


def test_a_name_that_leads_here_or_of_which_nothing_is_known_needs_no_record() -> None:
    for found in (Found("found", ("8.8.4.4",)), Found("unanswered")):
        assert decide_lead("www.shop.example", found, HOME).records == ()


def test_a_name_below_a_domain_is_told_an_alias_and_the_domain_itself_addresses() -> None:
    below = decide_lead("www.shop.example", Found("nowhere"), HOME).records
    assert below == (Record("www.shop.example", "CNAME", "edge.apps.example.org."),)
    apex = decide_lead("shop.example", Found("nowhere"), HOME).records
    assert [(each.type, each.value) for each in apex] == [
        ("A", "192.0.2.10"),
        ("A", "8.8.4.4"),
        ("AAAA", "2001:4860::44"),
    ]


def test_an_installation_that_the_world_does_not_know_asks_for_no_record_that_would_not_help() -> None:
    assert decide_lead("www.shop.example", Found("nowhere"), Home("", ("127.0.0.1", "::1"))).records == ()


def test_what_every_browser_resolves_by_itself_is_not_looked_at() -> None:
    assert decide_lead("shop.havre.localhost", Found("nowhere"), HOME) == Led("local")


def test_where_our_own_addresses_are_not_known_nothing_is_claimed() -> None:
    assert decide_lead("www.shop.example", Found("found", ("1.1.1.1",)), Home("", ())).lead == "unknown"


def test_nobody_learns_of_a_private_network_from_what_the_resolver_knows() -> None:
    seen = decide_lead("db.corp.example", Found("found", ("10.1.2.3", "1.1.1.1")), PUBLIC)
    assert (seen.addresses, seen.hidden) == (("1.1.1.1",), 1)
    inside = Home("edge.corp.example", ("10.0.0.1",))
    assert decide_lead("db.corp.example", Found("found", ("10.1.2.3",)), inside).addresses == ("10.1.2.3",)


def test_a_wildcard_is_asked_for_by_a_name_below_it() -> None:
    assert (asked_for("*.shop.example"), asked_for("shop.example")) == ("havre-check.shop.example", "shop.example")


def certificate(kind: str, *, days: float, owner_id: str | None = None) -> Certificate:
    begin = NOW - 60 * DAY_MS
    end = NOW + int(days * DAY_MS)
    return Certificate("cert_1", kind, owner_id, ("www.shop.example",), "Example CA", begin, end, "f", begin)  # type: ignore[arg-type]


def state(
    shown: Certificate | None, order: Order | None = None, *, host: str = "www.shop.example", **more: bool
) -> CertificateState:
    return decide_state(
        Site(host, "orga_1"), shown, order, LEAF, has_authority=more.get("has_authority", True), now=NOW
    )


def test_without_an_authority_or_for_what_it_cannot_prove_it_is_the_internal_one() -> None:
    for seen in (state(None, has_authority=False), state(None, host="*.shop.example"), state(None, host="a.localhost")):
        assert (seen.state, seen.issuer, seen.not_after, seen.next_at) == (
            "internal",
            LEAF.issuer,
            LEAF.not_after,
            None,
        )


def test_what_is_ordered_says_why_it_failed_and_when_it_is_tried_again() -> None:
    assert state(None).state == "ordering"
    failed = state(None, Order("www.shop.example", 3, "could not reach it", NOW + 5))
    assert (failed.state, failed.error, failed.failures, failed.next_at) == ("failed", "could not reach it", 3, NOW + 5)
    again = state(None, Order("www.shop.example", 3, "could not reach it", NOW - 5))
    assert (again.state, again.error) == ("ordering", "could not reach it")


def test_an_ordered_one_tells_when_it_is_renewed_and_that_it_fails() -> None:
    fresh = state(certificate("acme", days=60))
    assert (fresh.state, fresh.issuer) == ("ordered", "Example CA") and (fresh.next_at or 0) > NOW
    late = state(certificate("acme", days=20), Order("www.shop.example", 1, "no", NOW + 7))
    assert (late.state, late.error, late.next_at) == ("renewing", "no", NOW + 7)


def test_an_uploaded_one_tells_whose_it_is() -> None:
    assert state(certificate("own", days=9, owner_id="orga_1")) == CertificateState(
        "uploaded", "Example CA", NOW + 9 * DAY_MS
    )
    assert state(certificate("own", days=9)).is_operators


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", (["192.0.2.53"], 53)),
        ("192.0.2.53:5353, 192.0.2.54:5353", (["192.0.2.53", "192.0.2.54"], 5353)),
        ("2001:db8::53", (["2001:db8::53"], 53)),
        ("[2001:db8::53]:5353", (["2001:db8::53"], 5353)),
    ],
)
def test_name_servers_are_addresses_with_a_port_or_without(text: str, expected: tuple[list[str], int]) -> None:
    assert servers_of(text) == expected


@pytest.mark.parametrize(
    "text", ["ns1.example.net", "192.0.2.53:99999", "192.0.2.53:x", "", "192.0.2.53:53,192.0.2.54:54"]
)
def test_what_is_no_name_server_is_told_with_the_setting(text: str) -> None:
    with pytest.raises(InvalidError, match=r"edge\.resolver"):
        servers_of(text)
