"""What is particular to Node apps: no `node_modules` at all, and a version that another line of Node has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.room.build_rig import BuildRig, open_rig, places

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
SERVER = """
const isNumber = require("is-number")
const server = require("node:http").createServer((_, response) => response.end(`${process.version} ${isNumber(7)}`))
server.listen(8080)
process.on("SIGTERM", () => server.close())
"""
PACKAGE = {"name": "hello", "version": "1.0.0", "scripts": {"start": "node server.js"}}
PACKAGE |= {"dependencies": {"is-number": "7.0.0"}}


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


@pytest.mark.soak
async def test_an_app_with_plug_and_play_is_installed_and_started_by_yarn(rig: BuildRig) -> None:
    package = {**PACKAGE, "packageManager": "yarn@4.18.1"}
    tree = {"package.json": json.dumps(package), ".yarnrc.yml": "nodeLinker: pnp\n", "server.js": SERVER}
    built = await rig.build(tree, "node", {"CC_NODE_BUILD_TOOL": "yarn-berry"})
    assert built.exit.is_success, built.said
    assert (built.release / ".pnp.cjs").exists() and not (built.release / "node_modules").exists()
    async with rig.instance(built) as started:
        assert (await started.answer()).endswith(" true")


@pytest.mark.soak
async def test_an_older_line_of_node_builds_and_runs_the_app(rig: BuildRig) -> None:
    tree = {"package.json": json.dumps(PACKAGE), "server.js": SERVER, ".nvmrc": "20\n"}
    built = await rig.build(tree, "node", {"CC_POST_BUILD_HOOK": "node --version"})
    assert built.exit.is_success, built.said
    assert "v20.18.0" in built.said
    async with rig.instance(built) as started:
        assert (await started.answer()).endswith("v20.18.0 true")
