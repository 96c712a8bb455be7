"""What is said of deployments that people and programs ask for, and of the branch that is deployed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.room.api_rig import ApiRig, Page, Person, api_rig

pytestmark = pytest.mark.anyio
COMMIT = "1" * 40
Ask = Callable[[str, str], Awaitable[Any]]


@dataclass
class World:
    rig: ApiRig
    person: Person
    app: str
    path: str

    async def last(self) -> dict[str, Any]:
        """The newest deployment, as the contract has it."""
        rows = await self.person.get(f"{self.path}/deployments?limit=1")
        found: dict[str, Any] = rows[0]
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An application that was pushed."""
    async with api_rig(tmp_path) as rig:
        person = await rig.person("dev")
        app = await rig.create_app(person, person.space)
        await rig.write(lambda tx: rig.apps.intents.push_received(tx, person.actor, app, COMMIT))
        yield World(rig, person, app, f"/v2/organisations/{person.space}/applications/{app}")


async def by_console(world: World) -> Ask:
    page = Page(world.rig)
    await page.open("/login")
    await page.fill(email=world.person.credentials.email, password=world.person.credentials.password)
    headers = {"x-havre-console": "1"}
    return lambda method, path: page.client.request(method, path, headers=headers)


async def by_command_line(world: World) -> Ask:
    return world.person.call


async def by_token(world: World) -> Ask:
    body = {"name": "script", "expirationDate": "2027-01-20T00:00:00Z"}
    body |= {"email": world.person.credentials.email, "password": world.person.credentials.password}
    token = (await world.person.do("POST", "/api-tokens", body))["apiToken"]
    headers = {"authorization": f"Bearer {token}"}
    return lambda method, path: world.rig.client.request(method, path, headers=headers)


@pytest.mark.parametrize(("way", "cause"), [(by_console, "Console"), (by_command_line, "CLI"), (by_token, "API")])
async def test_a_deployment_says_through_what_it_was_asked_for(
    world: World, way: Callable[[World], Awaitable[Ask]], cause: str
) -> None:
    assert (await world.last())["cause"] == "Git"
    ask = await way(world)
    for method, action in (("POST", "DEPLOY"), ("DELETE", "UNDEPLOY")):
        answer = await ask(method, f"{world.path}/instances?commit={COMMIT}")
        assert answer.is_success, answer.text
        last = await world.last()
        assert (last["action"], last["cause"], last["author"]["id"]) == (action, cause, world.person.id)


async def test_the_branch_is_changed_in_both_ways_that_the_contract_has(world: World) -> None:
    assert (await world.person.get(world.path))["branch"] == "master"
    said = await world.person.do("PUT", f"{world.path}/branch", {"branch": "release/2.1"})
    assert said["type"] == "success"
    assert (await world.person.get(world.path))["branch"] == "release/2.1"
    assert (await world.person.do("PUT", world.path, {"branch": "main"}))["branch"] == "main"
    assert (await world.person.do("PUT", world.path, {"description": "other"}))["branch"] == "main"


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a..b", "a/", "/a", "a//b", "a.lock", "x/.y", "@{1}", "master/x", "a\nb"]
)
async def test_what_is_no_branch_is_refused(world: World, name: str) -> None:
    answer = await world.person.call("PUT", f"{world.path}/branch", {"branch": name})
    assert answer.status_code == 400
    assert "is not the name of a branch" in answer.json()["message"]
    assert (await world.person.get(world.path))["branch"] == "master"
