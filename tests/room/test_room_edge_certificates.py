"""Certificates of the edge: what is uploaded, what is ordered of a real ACME server, and what the real Caddy shows."""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from havre import edge
from havre.base.errors import InvalidError, NotFoundError, UnavailableError
from havre.base.ids import new_app_id, new_owner_id
from havre.drivers.x509 import Notary
from havre.edge.certificates import tables
from havre.edge.certificates.model import Certificate
from havre.edge.parts import certificates_of
from havre.kernel.config import AcmeConfig
from havre.kernel.events import events_after
from havre.kernel.kernel import Kernel
from tests.driver.dns_rig import NameServer, name_server
from tests.driver.pebble_rig import pebble
from tests.room.edge_rig import DAY_MS, Company, edge_kernel, key_pem, pem, running_room, shown, until

pytestmark = pytest.mark.anyio
ONE, TWO, SHOP = new_owner_id(), new_owner_id(), new_app_id()
COMPANY = Company()
NOTARY = Notary()


@pytest.fixture
async def kernel(store_url: str) -> AsyncIterator[Kernel]:
    async with edge_kernel(store_url) as made:
        yield made


async def claim(kernel: Kernel, fqdn: str, *, owner_id: str = ONE, app_id: str = SHOP) -> None:
    await kernel.store.write(lambda tx: edge.claim(tx, app_id=app_id, owner_id=owner_id, fqdn=fqdn))


async def upload(kernel: Kernel, *names: str, owner_id: str | None = ONE, **more: Any) -> Certificate:
    checked = await edge.check_certificate(kernel, *COMPANY.chain(*names, **more))
    return await kernel.store.write(lambda tx: edge.add_certificate(tx, checked, owner_id=owner_id))


def links(kernel: Kernel) -> dict[str, str]:
    """What is shown, by host: `own`, `internal`."""
    folder = kernel.paths.run / "certs"
    return {
        each.name: os.readlink(each).rpartition("/")[2].partition("-")[0].partition("_")[0] for each in folder.iterdir()
    }


# what is uploaded


def test_a_bundle_is_put_in_order_and_loses_its_root() -> None:
    leaf, key = COMPANY.leaf("www.shop.test", "*.shop.test")
    jumbled = pem(COMPANY.root) + pem(leaf) + pem(COMPANY.middle) + key
    checked = NOTARY.check(jumbled, jumbled, now=now_ms())
    assert checked.chain == pem(leaf) + pem(COMPANY.middle)
    assert (checked.names, checked.issuer) == (("www.shop.test", "*.shop.test"), "Example Company Issuing")
    assert "not among this machine's" in checked.note


def now_ms() -> int:
    from havre.kernel.clock import SystemClock

    return SystemClock().now()


def _other_key() -> tuple[str, str]:
    return COMPANY.chain("a.test")[0], COMPANY.chain("a.test")[1]


def _small() -> tuple[str, str]:
    return COMPANY.chain("a.test", key=rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: ("", COMPANY.chain("a.test")[1]), "no certificate in it"),
        (lambda: (COMPANY.chain("a.test")[0], ""), "no private key"),
        (lambda: (COMPANY.chain("a.test")[0], "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "cannot be read"),
        (lambda: (COMPANY.chain("a.test")[0], key_pem(ec.generate_private_key(ec.SECP256R1()), b"x")), "is encrypted"),
        (_other_key, "key does not belong to 'a.test'"),
        (_small, "RSA of 2048 bits"),
        (lambda: COMPANY.chain("a.test", days=-0.5), "ended on"),
        (lambda: COMPANY.chain("a.test", begin_days=2), "is not valid before"),
        (lambda: (pem(COMPANY.middle), key_pem(COMPANY.key)), "names no host"),
        (lambda: (COMPANY.chain("a.test")[0] + pem(Company("Other").middle), COMPANY.chain("a.test")[1]), "belong"),
        (lambda: ("x" * 200_000, ""), "more than 128 KiB"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_with_the_reason(made: Any, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        NOTARY.check(*made(), now=now_ms())


def test_a_stranger_in_the_chain_is_named() -> None:
    leaf, key = COMPANY.leaf("a.test")
    with pytest.raises(InvalidError, match=r"'Other Issuing' does not sign 'a\.test'"):
        NOTARY.check(pem(leaf) + pem(Company("Other").middle), key, now=now_ms())
    old = COMPANY.leaf("a.test", algorithm=hashes.SHA256())
    assert NOTARY.check(pem(old[0]), old[1], now=now_ms()).names == ("a.test",)


async def test_an_uploaded_certificate_is_shown_for_its_owners_hosts_alone(kernel: Kernel) -> None:
    for fqdn, owner in (
        ("www.one.test/api", ONE),
        ("www.two.test", TWO),
        ("*.one.test", ONE),
        ("shop.havre.test", ONE),
    ):
        await claim(kernel, fqdn, owner_id=owner)
    await certificates_of(kernel).sync()
    assert links(kernel) == dict.fromkeys(
        ["localhost.pem", "havre.test.pem", "_.havre.test.pem", "api.havre.test.pem", "console.havre.test.pem",
         "www.one.test.pem", "www.two.test.pem", "_.one.test.pem"], "internal",
    )  # fmt: skip
    mine = await upload(kernel, "*.one.test", "*.two.test", "shop.havre.test")
    await certificates_of(kernel).ensure(["www.one.test"])
    assert links(kernel)["www.one.test.pem"] == "cert"
    await certificates_of(kernel).sync()
    assert {host for host, kind in links(kernel).items() if kind == "cert"} == {
        "www.one.test.pem", "_.one.test.pem", "shop.havre.test.pem",
    }  # fmt: skip
    kept = kernel.paths.edge / "certificates"
    assert {each.stat().st_mode & 0o777 for each in kept.iterdir()} == {0o600}
    with pytest.raises(NotFoundError):
        await kernel.store.write(lambda tx: edge.remove_certificate(tx, mine.id, owner_id=TWO))
    await kernel.store.write(lambda tx: edge.remove_certificate(tx, mine.id, owner_id=ONE))
    await certificates_of(kernel).sync()
    assert set(links(kernel).values()) == {"internal"} and "shop.havre.test.pem" not in links(kernel)
    assert not list(kept.glob("cert_*"))


async def test_the_operators_certificate_serves_everybody_and_yields_to_an_owners(kernel: Kernel) -> None:
    await claim(kernel, "shop.havre.test")
    await upload(kernel, "*.havre.test", "havre.test", owner_id=None)
    await certificates_of(kernel).sync()
    assert {host for host, kind in links(kernel).items() if kind == "cert"} == {
        "_.havre.test.pem", "havre.test.pem", "api.havre.test.pem", "console.havre.test.pem",
    }  # fmt: skip
    await upload(kernel, "shop.havre.test")
    await certificates_of(kernel).sync()
    assert links(kernel)["shop.havre.test.pem"] == "cert"


async def test_an_end_that_nears_is_told_once_for_each_level_and_an_ended_one_is_shown_to_nobody(
    kernel: Kernel,
) -> None:
    await claim(kernel, "www.one.test")
    await upload(kernel, "www.one.test", days=60)
    loops = certificates_of(kernel)
    loops.doubted = kernel.clock.now  # time goes on as it does, day by day
    levels = []
    for ahead_days in (0, 41, 42, 58, 59, 61, 62):
        kernel.clock.ahead_ms = ahead_days * DAY_MS  # type: ignore[attr-defined]
        await loops.sync()
        events = await kernel.store.read(lambda conn: events_after(conn, 0))
        told = [each.facts["level"] for each in events if each.name == "edge.certificate.expiring"]
        levels.append((links(kernel)["www.one.test.pem"], told))
    assert levels == [
        ("cert", []), ("cert", [1]), ("cert", [1]), ("cert", [1, 2]), ("cert", [1, 2]),
        ("internal", [1, 2, 3]), ("internal", [1, 2, 3]),
    ]  # fmt: skip
    assert "has ended: upload a new one" in await loops.alarm()


async def test_nobody_needs_the_notary_for_a_name_that_has_its_certificate(kernel: Kernel) -> None:
    for fqdn in ("www.one.test", "shop.havre.test"):
        await claim(kernel, fqdn)
    await certificates_of(kernel).sync()
    assert kernel.notary.pid is not None
    kernel.notary.close()
    await claim(kernel, "other.havre.test")  # the platform's wildcard covers it
    await certificates_of(kernel).sync()
    await certificates_of(kernel).ensure(["www.one.test", "other.havre.test"])
    assert await certificates_of(kernel).alarm() == ""
    states = await certificates_of(kernel).states(["www.one.test"])
    assert states["www.one.test"].issuer == "Havre Local Root" and states["www.one.test"].not_after
    assert kernel.notary.pid is None
    await claim(kernel, "new.one.test")
    await certificates_of(kernel).ensure(["new.one.test"])
    assert links(kernel)["new.one.test.pem"] == "internal" and kernel.notary.pid is not None


async def test_an_authority_that_cannot_be_read_stops_the_start(kernel: Kernel) -> None:
    await certificates_of(kernel).sync()
    (kernel.paths.edge / "ca" / "root.key").write_text("")
    room = edge.setup(kernel)
    assert room.start is not None
    with pytest.raises(UnavailableError, match="cannot be read"):
        await room.start()


async def test_an_internal_leaf_is_made_again_before_its_end(kernel: Kernel) -> None:
    loops = certificates_of(kernel)
    await claim(kernel, "www.one.test")
    await loops.sync()
    first = os.readlink(kernel.paths.run / "certs" / "www.one.test.pem")
    assert (await loops.sync()).changed == 0
    kernel.clock.ahead_ms = 61 * DAY_MS  # type: ignore[attr-defined]
    assert (await loops.sync()).changed > 0
    assert os.readlink(kernel.paths.run / "certs" / "www.one.test.pem") != first
    assert not (kernel.paths.edge / "certificates" / first).exists()


async def test_what_a_host_shows_is_good_for_visitors_whose_clock_is_right(kernel: Kernel) -> None:
    """The machine's clock jumps ahead, and comes back: neither a leaf of then nor one's own is missed meanwhile."""
    loops = certificates_of(kernel)
    await claim(kernel, "www.one.test")
    await claim(kernel, "own.one.test")
    await upload(kernel, "own.one.test")
    await loops.sync()

    def of_host(host: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((kernel.paths.run / "certs" / f"{host}.pem").read_bytes())

    for ahead_ms in (400 * DAY_MS, 0, -400 * DAY_MS, 0):
        kernel.clock.ahead_ms = ahead_ms  # type: ignore[attr-defined]
        await loops.sync()
        right = datetime.datetime.now(datetime.UTC)
        for host in ("www.one.test", "own.one.test"):
            leaf = of_host(host)
            assert leaf.not_valid_before_utc <= right < leaf.not_valid_after_utc, (host, ahead_ms)
        assert links(kernel)["own.one.test.pem"] == "cert"


async def test_a_leaf_of_a_clock_that_was_ahead_for_long_is_made_again_when_it_is_right(kernel: Kernel) -> None:
    loops = certificates_of(kernel)
    loops.doubted = kernel.clock.now  # a day has passed: it is believed
    await claim(kernel, "www.one.test")
    kernel.clock.ahead_ms = 400 * DAY_MS  # type: ignore[attr-defined]
    await loops.sync()
    kernel.clock.ahead_ms = 0  # type: ignore[attr-defined]
    assert (await loops.sync()).changed > 0 and (await loops.sync()).changed == 0
    leaf = x509.load_pem_x509_certificate((kernel.paths.run / "certs" / "www.one.test.pem").read_bytes())
    assert leaf.not_valid_before_utc <= datetime.datetime.now(datetime.UTC)


async def test_a_clock_that_is_set_right_after_the_first_start_is_noticed_with_the_next_pass(kernel: Kernel) -> None:
    kernel.clock.ahead_ms = 3660 * DAY_MS  # type: ignore[attr-defined]
    await claim(kernel, "www.one.test")
    passes = {each.name: each.run for each in edge.setup(kernel).reconcilers}
    await passes["edge.certificates"]()
    file = kernel.paths.run / "certs" / "www.one.test.pem"
    early = x509.load_pem_x509_certificate(file.read_bytes())
    await passes["edge.routes"]()
    assert x509.load_pem_x509_certificate(file.read_bytes()) == early
    kernel.clock.ahead_ms = 0  # type: ignore[attr-defined]
    await passes["edge.routes"]()
    leaf, now = x509.load_pem_x509_certificate(file.read_bytes()), datetime.datetime.now(datetime.UTC)
    root = x509.load_pem_x509_certificate((kernel.paths.edge / "ca" / "root.crt").read_bytes())
    leaf.verify_directly_issued_by(root)
    for each in (leaf, root):
        assert each.not_valid_before_utc <= now < each.not_valid_after_utc


async def test_a_root_of_another_time_is_made_anew_and_told_meanwhile(kernel: Kernel) -> None:
    """As an earlier release left it, whose first start was by a clock that was ahead."""
    loops = certificates_of(kernel)
    await loops.sync()
    file = kernel.paths.edge / "ca" / "root.crt"
    key = load_pem_private_key((file.parent / "root.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    before = x509.load_pem_x509_certificate(file.read_bytes())
    ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    life = (ahead, before.not_valid_after_utc)
    future = x509.CertificateBuilder(before.issuer, before.subject, key.public_key(), 1, *life)
    future = future.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    file.write_bytes(future.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    assert "has not begun" in await loops.alarm()
    await loops.sync()
    after = x509.load_pem_x509_certificate(file.read_bytes())
    assert after.public_key() == before.public_key() and await loops.alarm() == ""
    kernel.clock.ahead_ms = (3650 - 60) * DAY_MS  # type: ignore[attr-defined]
    assert "ends in 59 days: a new one is made by itself" in await loops.alarm()
    assert x509.load_pem_x509_certificate(file.read_bytes()) == after
    kernel.clock.ahead_ms = (3650 - 20) * DAY_MS  # type: ignore[attr-defined]
    await loops.sync()
    assert x509.load_pem_x509_certificate(file.read_bytes()) != after and await loops.alarm() == ""


# what is ordered


@pytest.fixture
def server() -> Any:
    with name_server() as made:
        yield made


@pytest.mark.soak  # its certificates last for seconds: a busy machine is late for one
async def test_a_name_is_ordered_shown_renewed_and_forgotten(server: NameServer) -> None:
    """The whole life with a real authority: its certificates live 9 s, so they are renewed while we look."""
    async with edge_kernel() as plain:
        http_port = plain.config.edge.http_port
    with pebble(http_port=http_port, resolver=server.address, validity_s=9) as authority:
        acme = AcmeConfig(authority.directory, "operator@example.org", ca_bundle=authority.ca_bundle)
        async with edge_kernel(http_port=http_port, acme=acme) as kernel, running_room(kernel) as room:
            trust = authority.root()
            await claim(kernel, "www.shop.test")
            await claim(kernel, "*.shop.test")
            await edge.reconcile_now(kernel, SHOP, fqdns=["www.shop.test", "*.shop.test"])
            await in_thread(shown, kernel, "www.shop.test")  # at once, of the internal authority
            await until(lambda: links(kernel)["www.shop.test.pem"] == "cert", what="an ordered certificate is shown")
            first = await in_thread(shown, kernel, "www.shop.test", trust)
            await in_thread(shown, kernel, "x.shop.test")  # nobody proves a wildcard by HTTP

            async def renewed() -> bool:
                try:
                    now_shown = await in_thread(shown, kernel, "www.shop.test", trust)
                except ssl.SSLCertVerificationError as error:  # a slow machine: the internal one's, never an ended one
                    assert error.verify_message != "certificate has expired"
                    return False
                return bool(now_shown.serial_number != first.serial_number)

            await until(renewed, what="another certificate")
            held = await kernel.store.read(tables.certificates)
            assert room.health is not None and (await room.health()).error == ""
            await kernel.store.write(lambda tx: edge.release_all(tx, SHOP))

            async def forgotten() -> bool:
                left = await kernel.store.read(tables.certificates)
                return not any("www.shop.test" in each.names for each in left)

            await until(forgotten, what="nothing is left of a name that was released")
            assert held and "www.shop.test.pem" not in links(kernel)


async def test_an_order_that_fails_is_tried_again_for_ever_and_told(server: NameServer) -> None:
    async with edge_kernel() as plain:
        http_port = plain.config.edge.http_port
    server.lost.add("www.shop.test")
    with pebble(http_port=http_port, resolver=server.address) as authority:
        acme = AcmeConfig(authority.directory, ca_bundle=authority.ca_bundle)
        async with edge_kernel(http_port=http_port, acme=acme, base_domain="havre.localhost") as kernel:
            room = edge.setup(kernel)
            assert room.start is not None
            await room.start()
            loops = certificates_of(kernel)
            await claim(kernel, "www.shop.test")
            pauses = []
            for tries in range(1, 4):
                await loops.orders()
                orders = await kernel.store.read(tables.orders)
                assert orders["www.shop.test"].failures == tries and "could not reach" in orders["www.shop.test"].error
                pauses.append(orders["www.shop.test"].next_at - kernel.clock.now())
                await loops.orders()  # not before its time
                assert (await kernel.store.read(tables.orders))["www.shop.test"].failures == tries
                kernel.clock.ahead_ms += pauses[-1] + 1  # type: ignore[attr-defined]
            assert pauses[0] < pauses[1] < pauses[2]
            assert links(kernel)["www.shop.test.pem"] == "internal"
            await in_thread(shown, kernel, "www.shop.test")
            server.lost.clear()
            await loops.orders()
            assert links(kernel)["www.shop.test.pem"] == "cert"
            assert await kernel.store.read(tables.orders) == {}
            names = [each.name for each in await kernel.store.read(lambda conn: events_after(conn, 0))]
            assert names.count("edge.certificate.failed") == 3 and names[-1] == "edge.certificate.issued"


async def in_thread(call: Any, kernel: Kernel, host: str, trust: str | None = None) -> Any:
    return await anyio.to_thread.run_sync(lambda: call(kernel, host, trust=trust))
