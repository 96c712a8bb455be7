"""After a restore: what failed to be deployed again is tried again, until somebody asks for something else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from havre.apps import tables
from havre.apps.endings import end_deployment
from havre.apps.model import Deployment, DeploymentState
from havre.apps.restored import CAUSE
from tests.room.api_rig import ApiRig, api_rig

pytestmark = pytest.mark.anyio
SERVED, WAITING = "1" * 40, "2" * 40


async def rows(rig: ApiRig, app: str) -> list[Deployment]:
    return await rig.kernel.store.read(lambda conn: tables.deployments(conn, app))


async def passes(rig: ApiRig, *, seconds: int) -> None:
    rig.clock.at += seconds * 1000
    room = next(each for each in rig.rooms if each.name == "apps")
    await next(each for each in room.reconcilers if each.name == "apps.restored").run()


async def fail_newest(rig: ApiRig, app: str) -> None:
    newest = (await rows(rig, app))[0]
    await rig.write(lambda tx: end_deployment(tx, app, newest.id, DeploymentState.FAIL, error="no registry"))


async def test_what_served_is_deployed_again_until_somebody_stops_the_app(tmp_path: Path) -> None:
    async with api_rig(tmp_path) as rig:
        person = await rig.person("dev")
        app = await rig.create_app(person, person.space)
        found = await rig.kernel.store.read(lambda conn: tables.app(conn, app))
        assert found is not None

        def restored(tx: Any) -> None:
            served = rig.apps.intents.push_received(tx, person.actor, app, SERVED)
            for commit in (SERVED, WAITING):
                rig.apps.intents.deploy_again(tx, found, replace(served, commit_id=commit), cause=CAUSE)
            end_deployment(tx, app, served.id, DeploymentState.CANCELLED)

        await rig.write(restored)
        for each in (await rows(rig, app))[:2]:
            await rig.write(lambda tx, id=each.id: end_deployment(tx, app, id, DeploymentState.FAIL))
        await passes(rig, seconds=100)
        assert len(await rows(rig, app)) == 3, "two have failed: two minutes"
        await passes(rig, seconds=21)
        newest = (await rows(rig, app))[0]
        assert (newest.commit_id, newest.cause, newest.state) == (SERVED, CAUSE, DeploymentState.WIP)
        await passes(rig, seconds=9_000)
        assert len(await rows(rig, app)) == 4, "it is under way"
        await fail_newest(rig, app)
        await passes(rig, seconds=241)
        assert len(await rows(rig, app)) == 5
        await fail_newest(rig, app)
        await person.do("DELETE", f"/v2/organisations/{person.space}/applications/{app}/instances")
        before = len(await rows(rig, app))
        await passes(rig, seconds=90_000)
        assert len(await rows(rig, app)) == before, "its owner has stopped it"
