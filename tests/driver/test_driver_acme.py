"""Certificates from a real ACME server, proven through the real edge."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography import x509

from havre.base.errors import InvalidError, UnavailableError
from havre.base.secret import Secret
from havre.drivers import acme
from havre.drivers.acme import Account, Directory, Issued
from havre.drivers.x509.check import check
from tests.driver.caddy_rig import CaddyRig, running_rig
from tests.driver.dns_rig import NameServer, name_server
from tests.driver.pebble_rig import Pebble, pebble
from tests.ports import free_ports

EAB_KEY = base64.urlsafe_b64encode(b"k" * 48).decode()


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with name_server() as made:
        yield made


@pytest.fixture(scope="module")
def rig() -> Iterator[CaddyRig]:
    with running_rig() as made:
        yield made


@pytest.fixture(scope="module")
def authority(rig: CaddyRig, server: NameServer) -> Iterator[Pebble]:
    with pebble(http_port=rig.settings.http_port, resolver=server.address) as made:
        yield made


def directory_of(authority: Pebble, **more: Any) -> Directory:
    return Directory(authority.directory, email="operator@example.org", ca_bundle=authority.ca_bundle, **more)


def order(
    rig: CaddyRig, directory: Directory, host: str, account: Account | None = None, limit_s: float = 60
) -> Issued:
    folder = rig.run / "acme"
    return acme.order(
        directory, account or Account(acme.new_key()), host, limit_s=limit_s,
        put_token=lambda token, text: (folder / token).write_text(text) and None,
        drop_token=lambda token: (folder / token).unlink(),
    )  # fmt: skip


def test_a_host_that_leads_here_gets_a_certificate_and_its_token_is_taken_away(
    rig: CaddyRig, authority: Pebble
) -> None:
    issued = order(rig, directory_of(authority), "www.shop.test")
    leaf, *chain = x509.load_pem_x509_certificates(issued.chain.encode())
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    ) == ["www.shop.test"]
    assert chain and issued.account_uri.startswith(f"https://127.0.0.1:{authority.port}/")
    checked = check(issued.chain, issued.key.reveal(), now=int(leaf.not_valid_before_utc.timestamp() * 1000) + 1000)
    assert checked.names == ("www.shop.test",)
    assert list((rig.run / "acme").iterdir()) == []
    assert "PRIVATE" not in repr(issued)


def test_a_known_account_is_used_again_and_a_forgotten_one_introduces_itself(rig: CaddyRig, authority: Pebble) -> None:
    directory, account = directory_of(authority), Account(acme.new_key())
    first = order(rig, directory, "a.shop.test", account)
    assert order(rig, directory, "b.shop.test", account).account_uri == first.account_uri, "the key is known there"
    lost = replace(account, key=acme.new_key(), uri=first.account_uri[:-4] + "ffff")
    assert order(rig, directory, "c.shop.test", lost).account_uri not in (lost.uri, first.account_uri)


def test_a_host_that_leads_nowhere_is_refused_in_the_authoritys_words(
    rig: CaddyRig, authority: Pebble, server: NameServer
) -> None:
    server.lost.add("lost.shop.test")
    with pytest.raises(InvalidError, match=r"could not reach lost\.shop\.test"):
        order(rig, directory_of(authority), "lost.shop.test")
    assert list((rig.run / "acme").iterdir()) == []
    with pytest.raises(InvalidError, match="refused"):
        order(rig, directory_of(authority), "not a host")


def test_an_authority_that_is_not_there_is_told_from_one_that_refuses(rig: CaddyRig, authority: Pebble) -> None:
    (port,) = free_ports(1)
    for wrong in (
        replace(directory_of(authority), url=f"https://127.0.0.1:{port}/dir"),
        replace(directory_of(authority), ca_bundle=""),  # not believed
        replace(directory_of(authority), url=f"https://127.0.0.1:{authority.port}/nothing"),
    ):
        with pytest.raises(UnavailableError, match="did not answer"):
            order(rig, wrong, "www.shop.test")


def test_an_authority_may_ask_for_an_account_of_its_own(rig: CaddyRig, server: NameServer) -> None:
    """External account binding (RFC 8555 section 7.3.4)."""
    with pebble(http_port=rig.settings.http_port, resolver=server.address, eab={"kid-1": EAB_KEY}) as authority:
        ask = partial(order, rig, host="www.shop.test")
        assert ask(directory=directory_of(authority, eab_key_id="kid-1", eab_key=Secret(EAB_KEY))).chain
        with pytest.raises(InvalidError, match="refused"):
            ask(directory=directory_of(authority))
        with pytest.raises(InvalidError, match="refused"):
            ask(directory=directory_of(authority, eab_key_id="kid-2", eab_key=Secret(EAB_KEY)))
