"""Every route of the API with every role: a table that is itself the test. A new route has a row here or the test fails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from havre.governance import Role
from tests.room.api_rig import ApiRig, Person, api_rig

pytestmark = pytest.mark.anyio
Who = Literal["anybody", "person", "member", "insider", "developer", "manager", "admin", "operator"]
ALLOWED: dict[str, tuple[Role, ...]] = {
    "member": tuple(Role),
    "insider": (Role.ADMIN, Role.MANAGER, Role.DEVELOPER),
    "developer": (Role.ADMIN, Role.MANAGER, Role.DEVELOPER),
    "manager": (Role.ADMIN, Role.MANAGER),
    "admin": (Role.ADMIN,),
}
ORG, A = "/v2/organisations/{owner_id}", "/v2/organisations/{owner_id}/applications/{app_id}"
D = "/v4/drains/organisations/{owner_id}/resources/{app_id}/drains"
V4 = "/v4/orchestration/organisations/{owner_id}/applications/{app_id}"
S = "/v4/stats/organisations/{owner_id}/resources/{resource_id}"
N = "/v2/notifications"
ROUTES: dict[str, Who] = {
    # who may: anybody; a person with an account; of an organisation its member, who may look inside, developer, …
    "GET /health": "anybody",
    "GET /v2/products/instances": "anybody",
    "GET /v2/products/instances/{name}": "anybody",
    "GET /v4/products/zones": "anybody",
    "GET /v4/products/zones/{name}": "anybody",
    "GET /v2/products/zones": "anybody",
    "GET /v2/products/addonproviders": "anybody",
    f"GET {N}/info/events": "anybody",
    f"GET {N}/info/webhookformats": "anybody",
    "GET /v2/self/cli_tokens": "anybody",
    "POST /v2/oauth/request_token": "anybody",
    "POST /v2/oauth/request_token_query": "anybody",
    "POST /v2/oauth/access_token": "anybody",
    "POST /v2/oauth/access_token_query": "anybody",
    "GET /v2/oauth/rights": "person",
    "GET /v2/self": "person",
    "GET /v2/self/id": "person",
    "GET /v2/self/tokens/current": "person",
    "GET /v2/self/tokens": "person",
    "DELETE /v2/self/tokens/{token}": "person",
    "DELETE /v2/self/tokens": "person",
    "PUT /v2/self/change_password": "person",
    "POST /v2/self/mfa/TOTP": "person",
    "POST /v2/self/mfa/TOTP/confirmation": "person",
    "POST /v2/self/mfa/TOTP/removal": "person",
    "GET /v2/self/emails": "person",
    "PUT /v2/self/emails/{address}": "person",
    "DELETE /v2/self/emails/{address}": "person",
    "GET /v2/self/sessions": "person",
    "DELETE /v2/self/sessions/{id}": "person",
    "GET /v2/havre/changes": "person",
    "GET /v2/self/keys": "person",
    "PUT /v2/self/keys/{name}": "person",
    "DELETE /v2/self/keys/{name}": "person",
    "GET /api-tokens": "person",
    "POST /api-tokens": "person",
    "PUT /api-tokens/{id}": "person",
    "DELETE /api-tokens/{id}": "person",
    "GET /v2/summary": "person",
    "GET /v2/organisations": "person",
    "POST /v2/organisations": "person",
    "GET /v2/self/addons": "person",
    f"GET {ORG}/addons": "member",
    f"GET {ORG}": "member",
    f"PUT {ORG}": "admin",
    f"DELETE {ORG}": "admin",
    f"GET {ORG}/overview": "member",
    f"GET {ORG}/members": "member",
    f"POST {ORG}/members": "admin",
    f"PUT {ORG}/members/{{person_id}}": "admin",
    f"DELETE {ORG}/members/{{person_id}}": "admin",
    f"GET {ORG}/audit": "admin",
    f"GET {ORG}/consumers": "member",
    f"POST {ORG}/consumers": "admin",
    f"GET {ORG}/consumers/{{key}}": "member",
    f"GET {ORG}/consumers/{{key}}/secret": "admin",
    f"PUT {ORG}/consumers/{{key}}": "admin",
    f"DELETE {ORG}/consumers/{{key}}": "admin",
    f"GET {N}/webhooks/{{owner_id}}": "insider",
    f"POST {N}/webhooks/{{owner_id}}": "developer",
    f"DELETE {N}/webhooks/{{owner_id}}/{{id}}": "developer",
    f"GET {N}/webhooks/{{owner_id}}/{{id}}/deliveries": "insider",
    f"GET {N}/emailhooks/{{owner_id}}": "insider",
    f"POST {N}/emailhooks/{{owner_id}}": "developer",
    f"DELETE {N}/emailhooks/{{owner_id}}/{{id}}": "developer",
    f"GET {N}/emailhooks/{{owner_id}}/{{id}}/deliveries": "insider",
    f"GET {D}": "insider",
    f"POST {D}": "developer",
    f"GET {D}/{{id}}": "insider",
    f"DELETE {D}/{{id}}": "developer",
    f"PUT {D}/{{id}}/enable": "developer",
    f"PUT {D}/{{id}}/disable": "developer",
    f"POST {D}/{{id}}/check": "developer",
    f"GET {ORG}/applications": "member",
    f"POST {ORG}/applications": "developer",
    f"GET {A}": "member",
    f"PUT {A}": "developer",
    f"DELETE {A}": "manager",
    f"GET {A}/env": "insider",
    f"PUT {A}/branch": "developer",
    f"PUT {A}/env": "developer",
    f"PUT {A}/env/{{name}}": "developer",
    f"DELETE {A}/env/{{name}}": "developer",
    f"GET {A}/vhosts": "member",
    f"GET {A}/vhosts/favourite": "member",
    f"PUT {A}/vhosts/favourite": "developer",
    f"DELETE {A}/vhosts/favourite": "developer",
    f"PUT {A}/vhosts/{{fqdn}}": "developer",
    f"DELETE {A}/vhosts/{{fqdn}}": "developer",
    f"GET {A}/domains": "member",
    f"GET {A}/domains/{{host}}/proof": "developer",
    f"GET {ORG}/namespaces": "member",
    f"GET {A}/tcpRedirs": "member",
    f"POST {A}/tcpRedirs": "developer",
    f"DELETE {A}/tcpRedirs/{{port}}": "developer",
    f"GET {ORG}/certificates": "member",
    f"POST {ORG}/certificates": "developer",
    f"DELETE {ORG}/certificates/{{certificate_id}}": "developer",
    f"GET {A}/deployments": "member",
    f"GET {A}/deployments/{{deployment_id}}": "member",
    f"GET {A}/deployments/{{deployment_id}}/progress": "member",
    f"GET {A}/usage": "member",
    f"DELETE {A}/deployments/{{deployment_id}}/instances": "developer",
    f"GET {A}/commits": "insider",
    f"GET {A}/instances": "member",
    f"POST {A}/instances": "developer",
    f"DELETE {A}/instances": "developer",
    f"GET {A}/addons": "member",
    f"GET {A}/addons/env": "member",
    f"GET {A}/dependencies": "member",
    f"GET {A}/dependents": "member",
    f"GET {A}/dependencies/env": "insider",
    f"PUT {A}/dependencies/{{dependency_id}}": "developer",
    f"DELETE {A}/dependencies/{{dependency_id}}": "developer",
    f"GET {A}/exposed_env": "insider",
    f"PUT {A}/exposed_env": "developer",
    f"GET {A}/tags": "member",
    f"PUT {A}/tags": "developer",
    f"PUT {A}/tags/{{tag}}": "developer",
    f"DELETE {A}/tags/{{tag}}": "developer",
    "GET /v4/load-balancers/organisations/{owner_id}/applications/{app_id}/load-balancers/default": "member",
    f"GET {V4}/deployments": "member",
    f"GET {V4}/deployments/{{deployment_id}}": "member",
    f"GET {V4}/instances": "member",
    f"GET {V4}/instances/{{instance_id}}": "member",
    "GET /v4/logs/organisations/{owner_id}/applications/{app_id}/logs": "insider",
    "GET /v4/logs/organisations/{owner_id}/applications/{app_id}/accesslogs": "insider",
    "GET /v4/accesslogs/organisations/{owner_id}/applications/{app_id}/accesslogs": "insider",
    f"GET {S}/metrics": "member",
    f"GET {S}/requests": "member",
    f"GET {S}/live": "member",
    "GET /v2/havre/status": "operator",
    "GET /v2/havre/doctor": "operator",
    "GET /v2/havre/disk": "operator",
    "GET /v2/havre/people": "operator",
    "POST /v2/havre/people": "operator",
    "DELETE /v2/havre/people/{person_id}": "operator",
    "POST /v2/havre/people/{person_id}/password": "operator",
    "GET /v2/havre/people/{person_id}/tokens": "operator",
    "DELETE /v2/havre/people/{person_id}/tokens": "operator",
    "GET /v2/havre/quotas": "operator",
    "PUT /v2/havre/quotas/{owner_id}": "operator",
    "GET /v2/havre/outbox": "operator",
    "GET /v2/havre/certificates": "operator",
    "POST /v2/havre/certificates": "operator",
    "DELETE /v2/havre/certificates/{certificate_id}": "operator",
    "GET /v2/havre/network/migrations": "operator",
    "POST /v2/havre/network/migrations": "operator",
    "GET /v2/havre/network/migrations/{id}": "operator",
    "GET /v2/havre/network/migrations/{id}/proof": "operator",
    "POST /v2/havre/network/migrations/{id}/confirmations": "operator",
    "POST /v2/havre/network/migrations/{id}/pause": "operator",
    "POST /v2/havre/network/migrations/{id}/resume": "operator",
    "POST /v2/havre/network/migrations/{id}/revert": "operator",
    "GET /v2/havre/stacks": "operator",
    "GET /v2/havre/stacks/{id}": "operator",
    "POST /v2/havre/stacks/upgrades": "operator",
    "GET /v2/havre/stacks/upgrades/{id}": "operator",
}
BODIES: dict[str, Any] = {
    f"PUT {ORG}": {"name": "Renamed"},
    f"POST {ORG}/members": {"email": "new@example.test", "role": "DEVELOPER"},
    f"PUT {ORG}/members/{{person_id}}": {"role": "DEVELOPER"},
    f"POST {ORG}/consumers": {"name": "x"},
    f"PUT {ORG}/consumers/{{key}}": {"name": "x"},
    f"POST {N}/webhooks/{{owner_id}}": {"urls": [{"format": "raw", "url": "https://x.example.test"}]},
    f"POST {N}/emailhooks/{{owner_id}}": {"name": "x"},
    f"POST {D}": {"recipient": {"type": "RAW_HTTP", "url": "https://x.example.test"}},
    f"POST {ORG}/applications": {"name": "x", "instanceType": "node"},
    f"PUT {A}": {"description": "x"},
    f"PUT {A}/branch": {"branch": "main"},
    f"PUT {A}/env": {"A": "1"},
    f"PUT {A}/env/{{name}}": {"value": "1"},
    f"PUT {A}/vhosts/favourite": {"fqdn": "nobody.example.test"},
    f"PUT {A}/exposed_env": {"A": "1"},
    f"POST {A}/tcpRedirs": {"namespace": "nowhere"},
    f"POST {ORG}/certificates": {"certificate": "x", "key": "y"},
    "POST /v2/havre/certificates": {"certificate": "x", "key": "y"},
    f"PUT {A}/tags": ["x"],
    "POST /v2/organisations": {"name": "x"},
    "PUT /v2/self/change_password": {"oldPassword": "x", "newPassword": "y"},
    "POST /v2/self/mfa/TOTP/confirmation": {"code": "1"},
    "POST /v2/self/mfa/TOTP/removal": {"password": "x"},
    "PUT /v2/self/keys/{name}": "ssh-ed25519 x",
    "POST /api-tokens": {"email": "x", "password": "y", "name": "z", "expirationDate": "2030-01-01T00:00:00Z"},
    "PUT /api-tokens/{id}": {"name": "x"},
    "POST /v2/havre/stacks/upgrades": {"apps": ["unknown"]},
    "POST /v2/havre/network/migrations": {"id": "x", "intent": "asn: 1"},
    "POST /v2/havre/network/migrations/{id}/confirmations": {"what": "x"},
    "POST /v2/havre/network/migrations/{id}/resume": {},
    "POST /v2/havre/people": {"email": "somebody@example.test"},
    "PUT /v2/havre/quotas/{owner_id}": {"apps": 1},
}
LIVE = "?until=2020-01-01T00:00:00Z&limit=1"


def routes_of(document: dict[str, Any]) -> set[str]:
    """The routes of the document; `/v2/self/…` of an owner's things are the same functions and are left out."""
    found = set()
    for path, methods in document["paths"].items():
        twin = path.replace("/v2/self/", "/v2/organisations/{owner_id}/", 1)
        if path.startswith("/v2/self/") and twin in document["paths"] and path != "/v2/self/addons":
            continue
        if path.startswith("/v4/drains/organisations/{owner_id}/applications/"):  # the same functions once more
            continue
        found |= {f"{method.upper()} {path}" for method in methods}
    return found


@dataclass
class World:
    """An organisation with an app, one person for each role, and a stranger with an organisation and app of their own."""

    rig: ApiRig
    owner: str
    app: str
    people: dict[Role, Person]
    stranger: Person
    names: dict[str, str]

    def path(self, route: str) -> str:
        found = route.partition(" ")[2]
        for name, value in self.names.items():
            found = found.replace("{" + name + "}", value)
        return found + (
            LIVE
            if found.endswith("logs")
            else "?limit=0"
            if found.endswith(("changes", "/live"))
            else "?cli_token=x"
            if found.endswith("cli_tokens")
            else ""
        )

    async def ask(self, person: Person | None, route: str) -> int:
        method = route.partition(" ")[0]
        headers = person.headers if person is not None else {}
        answer = await self.rig.client.request(method, self.path(route), json=BODIES.get(route), headers=headers)
        assert answer.status_code < 500, f"{route}: {answer.text}"
        return answer.status_code


async def make_world(rig: ApiRig) -> World:
    people = {role: await rig.person(role.lower()) for role in Role}
    admin = people[Role.ADMIN]
    owner = await rig.organisation(admin)
    for role, person in people.items():
        if role is not Role.ADMIN:
            await rig.join(admin, owner, person, role)
    app = await rig.create_app(admin, owner)
    await admin.do("PUT", f"/v2/organisations/{owner}/applications/{app}/env/SECRET", {"value": "s3cret"})
    made = await admin.do("POST", f"/v2/organisations/{owner}/consumers", {"name": "portal"})
    names = {
        "host": "x.example.test",
        "owner_id": owner,
        "app_id": app,
        "key": made["key"],
        "person_id": (await rig.person("extra")).id,
    }
    names |= {"fqdn": "x.example.test", "name": "X", "tag": "x", "id": "unknown", "token": "unknown"}
    names |= {"deployment_id": "unknown", "instance_id": "unknown", "dependency_id": "unknown", "address": "a@b.test"}
    names |= {"port": "5001", "certificate_id": "unknown", "resource_id": app}
    return World(rig, owner, app, people, await rig.person("stranger"), names)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with api_rig(tmp_path) as rig:
        yield await make_world(rig)


async def test_the_table_has_every_route(world: World) -> None:
    document = (await world.rig.client.get("/openapi.json")).json()
    assert routes_of(document) == set(ROUTES)


async def test_who_is_not_signed_in_reaches_nothing_but_what_is_for_anybody(world: World) -> None:
    open_to_all = {route for route in ROUTES if await world.ask(None, route) != 401}
    signed_by_consumers = {each for each in ROUTES if each.startswith("POST /v2/oauth/")}
    assert open_to_all == {route for route, who in ROUTES.items() if who == "anybody"} - signed_by_consumers


async def test_a_stranger_is_told_that_an_organisation_and_its_things_do_not_exist(world: World) -> None:
    for route, who in ROUTES.items():
        if who in ALLOWED:
            assert await world.ask(world.stranger, route) == 404, route


async def test_only_operators_operate(world: World) -> None:
    for route, who in ROUTES.items():
        if who == "operator":
            assert await world.ask(world.people[Role.ADMIN], route) == 403, route
            assert await world.ask(world.rig.operator, route) not in (401, 403), route


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_allows_what_the_table_says(world: World, role: Role) -> None:
    """Denied is 403 and nothing else; allowed is anything else, as some of the things named are not there."""
    last = [route for route in ROUTES if re.match(rf"DELETE {re.escape(ORG)}(/applications/{{app_id}})?$", route)]
    for route in [*(each for each in ROUTES if each not in last), *reversed(last)]:
        who = ROUTES[route]
        if who in ALLOWED:
            seen = await world.ask(world.people[role], route)
            assert (seen == 403) == (role not in ALLOWED[who]), f"{role} {route}: {seen}"


async def test_who_may_not_look_inside_sees_no_variable(world: World) -> None:
    path = f"/v2/organisations/{world.owner}/applications/{world.app}"
    assert (await world.people[Role.ACCOUNTING].get(path))["env"] == []
    assert (await world.people[Role.DEVELOPER].get(path))["env"] == [{"name": "SECRET", "value": "s3cret"}]


async def test_a_refused_write_stands_in_the_audit(world: World) -> None:
    developer = world.people[Role.DEVELOPER]
    assert await world.ask(developer, f"DELETE {A}") == 403
    newest = (await world.rig.audit(world.people[Role.ADMIN], world.owner))[0]
    assert (newest["actor_id"], newest["result"], newest["source"]) == (developer.id, "denied", "192.0.2.7")


async def test_every_write_that_was_done_stands_in_the_audit_with_who_and_from_where(world: World) -> None:
    admin = world.people[Role.ADMIN]
    unaudited = []
    for route, who in ROUTES.items():
        if route.startswith("GET") or who not in ALLOWED or route in (f"DELETE {ORG}", f"POST {D}/{{id}}/check"):
            continue
        before = await world.rig.audit(admin, world.owner)
        if await world.ask(admin, route) < 300:
            after = await world.rig.audit(admin, world.owner)
            new = after[: len(after) - len(before)]
            if not any(each["actor_id"] == admin.id and each["source"] for each in new):
                unaudited.append(route)
    assert unaudited == []
