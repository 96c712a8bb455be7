"""Request flows in front of a real app in the real sandbox: every part is the program that users get."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from havre.apps import health
from havre.kernel.clock import SystemClock
from tests.room.build_rig import BuildRig, Built, Started, open_rig, places
from tests.room.runtime_suite import EXAMPLES

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]
APP = EXAMPLES / "request-flow"
PROXY = """
const http = require("node:http")
const [listen, forward] = process.argv.slice(2)
http.createServer((request, response) => {
  if (request.url === "/die") process.exit(6)
  const { url, method, headers } = request
  const onward = http.request({ host: "127.0.0.1", port: forward, path: url, method, headers }, (answer) => {
    response.writeHead(answer.statusCode, { ...answer.headers, "x-proxy": `${listen}>${forward}` })
    answer.pipe(response)
  })
  onward.on("error", () => response.writeHead(502).end())
  request.pipe(onward)
}).listen(listen)
"""
CUSTOM = {"CC_REQUEST_FLOW_CUSTOM": "node proxy.js @@LISTEN_PORT@@ @@FORWARD_PORT@@"}


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


async def healthy(built: Built, started: Started, *, limit_s: float = 60) -> str:
    env, clock = built.deployment.env, SystemClock()
    return await health.wait_healthy(started.engine, started.id, plan=built.plan, env=env, limit_s=limit_s, clock=clock)


async def with_proxy(rig: BuildRig, env: dict[str, str]) -> Built:
    files = {str(each.relative_to(APP)): each.read_text() for each in APP.rglob("*") if each.is_file()}
    built = await rig.build({**files, "proxy.js": PROXY}, "node", env)
    assert built.exit.is_success, built.said
    return built


async def test_varnish_caches_what_the_app_lets_it_and_a_program_of_the_apps_own_stands_before_it(
    rig: BuildRig,
) -> None:
    built = await with_proxy(rig, {"CC_REQUEST_FLOW": "custom,varnish", **CUSTOM})
    async with rig.instance(built) as started:
        assert (await healthy(built, started)).endswith("200")
        first, second = await started.answer("/a"), await started.answer("/a")
        assert "x-proxy: 8080>8081" in first and "x-cache: MISS" in first, first
        assert "x-cache: HIT" in second
        assert first.partition("\r\n\r\n")[2] == second.partition("\r\n\r\n")[2], "the app was asked once"
        assert (await started.answer("/fresh")) != (await started.answer("/fresh"))
        ended = await started.stop(grace_s=10)
    assert ended.code == 0, started.said()


async def test_when_a_part_dies_the_instance_ends_with_its_code(rig: BuildRig) -> None:
    built = await with_proxy(rig, {"CC_REQUEST_FLOW": "custom", **CUSTOM})
    async with rig.instance(built) as started:
        await healthy(built, started)
        await started.ask("/die")
        ended = await started.engine.wait(started.id)
    assert ended.code == 6
    assert "Request flow: custom ended with exit code 6, and the instance with it" in started.said()


async def test_a_blocked_app_runs_and_is_not_reached(rig: BuildRig) -> None:
    built = await with_proxy(rig, {"CC_REQUEST_FLOW": "block", "CC_HEALTH_CHECK_PATH": "/not-there"})
    async with rig.instance(built) as started:
        await healthy(built, started)
        answer = await started.answer("/secret")
        assert answer.startswith("HTTP/1.1 200") and answer.endswith("\r\n\r\n"), answer
        assert "asked 1 times" in await started.answer("/", port=9000)


async def test_an_app_that_does_not_listen_where_the_flow_ends_is_not_healthy(rig: BuildRig) -> None:
    env = {"CC_REQUEST_FLOW": "custom", **CUSTOM, "CC_RUN_COMMAND": "env PORT=9999 node server.js"}
    built = await with_proxy(rig, env)
    built.deployment.env["CC_HEALTH_CHECK_PATH"] = ""
    async with rig.instance(built) as started:
        with pytest.raises(Exception) as refused:
            await healthy(built, started, limit_s=4)
    assert "GET / answers 502; the app must listen on 0.0.0.0:9000" in str(refused.value)
