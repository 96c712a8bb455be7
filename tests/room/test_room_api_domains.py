"""The names of an app as people see them: where the DNS leads, which certificate is shown, how to prove a name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from havre import edge
from havre.edge import lookup
from havre.edge.certificates import tables
from havre.edge.certificates.model import Order
from havre.governance import Role
from tests.driver.dns_rig import NameServer, name_server
from tests.room.api_rig import ApiRig, api_rig

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[NameServer]:
    with name_server() as made:
        yield made


@pytest.fixture
async def rig(tmp_path: Path, server: NameServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiRig]:
    monkeypatch.setattr(lookup, "LOOK_UP_S", 30.0)  # the name server here has no time of its own
    monkeypatch.setattr(lookup, "ALL_S", 60.0)
    settings: dict[str, Any] = {"base_domain": "apps.example.org", "bind": "192.0.2.10", "resolver": server.address}
    server.records["edge.apps.example.org"] = [("A", "192.0.2.10"), ("AAAA", "2001:db8::10")]
    acme = {"directory": "https://ca.example.org/directory"}
    async with api_rig(tmp_path, edge=settings | {"acme": acme}) as made:
        await made.write(lambda tx: edge.tables.set_domain(tx.conn, edge.domain_of(made.kernel)))
        await made.write(lambda tx: edge.proof.remember_secret(tx, made.kernel.rng))
        yield made


async def app_with(rig: ApiRig, *names: str) -> tuple[str, str]:
    """The organisation, and the address of an app of it that has these names."""
    owner = await rig.organisation(rig.operator)
    app = await rig.create_app(rig.operator, owner)
    for name in names:
        await rig.write(lambda tx, name=name: edge.claim(tx, app_id=app, owner_id=owner, fqdn=name))
    return owner, f"/v2/organisations/{owner}/applications/{app}"


async def shown(rig: ApiRig, path: str) -> dict[str, Any]:
    return {each["host"]: each for each in await rig.operator.get(path + "/domains")}


async def test_each_name_tells_where_it_leads_and_what_it_needs(rig: ApiRig, server: NameServer) -> None:
    server.records["www.shop.example"] = [("CNAME", "edge.apps.example.org.")]
    server.records["old.shop.example"] = [("A", "1.1.1.1")]
    server.lost.add("new.shop.example")
    server.silent.add("lame.shop.example")
    names = ("www.shop.example/api", "old.shop.example", "new.shop.example", "lame.shop.example")
    _, path = await app_with(rig, *names)
    found = await shown(rig, path)
    leads = {host: each["dns"]["lead"] for host, each in found.items() if host.endswith("shop.example")}
    assert leads == {
        "www.shop.example": "here",
        "old.shop.example": "elsewhere",
        "new.shop.example": "nowhere",
        "lame.shop.example": "unanswered",
    }
    assert found["www.shop.example"]["fqdn"].endswith("/api")
    assert found["old.shop.example"]["dns"]["addresses"] == ["1.1.1.1"]
    alias = {"name": "new.shop.example", "type": "CNAME", "value": "edge.apps.example.org."}
    assert found["new.shop.example"]["dns"]["records"] == [alias]


async def test_a_name_is_asked_about_once_in_a_while_however_often_a_page_looks(
    rig: ApiRig, server: NameServer
) -> None:
    server.lost.add("www.shop.example")
    _, path = await app_with(rig, "www.shop.example")
    assert (await shown(rig, path))["www.shop.example"]["dns"]["lead"] == "nowhere"
    asked = server.asked.count("www.shop.example A")
    for _ in range(2):
        assert (await shown(rig, path))["www.shop.example"]["dns"]["lead"] == "nowhere"
    assert server.asked.count("www.shop.example A") == asked >= 1, "the resolver alone asks again"
    server.records["www.shop.example"] = [("A", "192.0.2.10")]
    rig.clock.at += 10_000
    assert (await shown(rig, path))["www.shop.example"]["dns"]["lead"] == "here"


async def test_an_order_that_failed_says_why_and_when_it_is_tried_again(rig: ApiRig) -> None:
    _, path = await app_with(rig, "www.shop.example", "*.shop.example")
    await edge.certify_now(rig.kernel)
    seen = {host: each["certificate"] for host, each in (await shown(rig, path)).items()}
    assert (seen["www.shop.example"]["state"], seen["*.shop.example"]["state"]) == ("ordering", "internal")
    assert seen["*.shop.example"]["issuer"] == "Havre Local Root"
    assert seen["*.shop.example"]["notAfter"] > rig.clock.now()
    order = Order("www.shop.example", 2, "the authority could not reach it", rig.clock.now() + 60_000)
    await rig.write(lambda tx: tables.put_order(tx.conn, order))
    failed = (await shown(rig, path))["www.shop.example"]["certificate"]
    assert (failed["state"], failed["error"], failed["nextTryAt"]) == ("failed", order.error, order.next_at)


async def test_a_taken_name_tells_how_to_prove_it_and_is_given_to_who_does(rig: ApiRig, server: NameServer) -> None:
    await app_with(rig, "www.shop.example")
    _, mine = await app_with(rig)
    refused = await rig.operator.call("PUT", mine + "/vhosts/www.shop.example")
    assert refused.status_code == 409
    proof = await rig.operator.get(mine + "/domains/www.shop.example/proof")
    assert proof["isOfUse"] and proof["text"] in refused.json()["message"]
    assert (await rig.operator.get(mine + "/domains/free.example/proof"))["isOfUse"] is False
    server.texts[proof["names"][0]] = [proof["text"]]
    await rig.operator.do("PUT", mine + "/vhosts/www.shop.example")
    assert "www.shop.example" in await shown(rig, mine)


async def test_who_may_not_change_an_app_learns_of_no_proof(rig: ApiRig) -> None:
    owner, path = await app_with(rig, "www.shop.example")
    reader = await rig.person("reader")
    await rig.join(rig.operator, owner, reader, Role.ACCOUNTING)
    assert (await reader.call("GET", path + "/domains/www.shop.example/proof")).status_code == 403
    assert (await reader.call("GET", path + "/domains")).status_code == 200
