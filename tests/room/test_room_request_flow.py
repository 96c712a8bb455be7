"""Request flows in front of a real app in the real sandbox: every part is the program that users get."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from havre.apps import health
from havre.drivers.toolchains import OAUTH2_PROXY_VERSION
from havre.kernel.clock import SystemClock
from tests.room.build_rig import BuildRig, Built, Started, open_rig, places
from tests.room.runtime_suite import EXAMPLES

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]
APP = EXAMPLES / "request-flow"
PROVIDER = Path(__file__).with_name("oidc_provider.js")
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
# a minute or more of compiling, once for an environment
IS_BUILT = (
    shutil.which("oauth2-proxy")
    or (Path(sys.prefix) / "share" / "havre" / "toolchains" / f"oauth2-proxy-{OAUTH2_PROXY_VERSION}").exists()
)
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
        ended = await started.stop(grace_s=30)
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
        assert " 502 " in await started.answer(), "the proxy is up"
        with pytest.raises(Exception) as refused:
            await healthy(built, started, limit_s=1)
    assert "GET / answers 502; the app must listen on 0.0.0.0:9000" in str(refused.value)


def head_of(answer: str, name: str) -> str:
    """The value of a header; of cookies, what a browser sends back."""
    lines = [line.partition(": ") for line in answer.partition("\r\n\r\n")[0].split("\r\n")[1:]]
    found = [value for key, _, value in lines if key.lower() == name]
    assert found, answer
    return "; ".join(each.split(";")[0] for each in found) if name == "set-cookie" else found[0]


def path_of(location: str) -> str:
    found = urlsplit(location)
    return f"{found.path}?{found.query}"


@pytest.mark.parametrize(
    "built",
    [
        pytest.param("before", marks=pytest.mark.skipif(not IS_BUILT, reason="make soak builds OAuth2 Proxy: minutes")),
        pytest.param("now", marks=pytest.mark.soak),
    ],
)
async def test_nobody_reaches_the_app_who_has_not_signed_in(rig: BuildRig, built: str) -> None:
    provider = "node oidc_provider.js 9100 shop & until curl -sf http://127.0.0.1:9100/keys; do sleep 0.1; done"
    settings = {
        "PROVIDER": "oidc", "OIDC_ISSUER_URL": "http://127.0.0.1:9100", "CLIENT_ID": "shop", "CLIENT_SECRET": "s3cret",
        "COOKIE_SECRET": "0123456789abcdef", "EMAIL_DOMAINS": "example.test", "SKIP_PROVIDER_BUTTON": "true",
        "REDIRECT_URL": "http://127.0.0.1:8080/oauth2/callback", "CODE_CHALLENGE_METHOD": "S256",
        "COOKIE_SECURE": "false", "SKIP_AUTH_ROUTES": "^/health$",
    }  # fmt: skip
    env = {f"OAUTH2_PROXY_{name}": value for name, value in settings.items()}
    env |= {"CC_REQUEST_FLOW": "oauth2-proxy,varnish", "CC_PRE_RUN_HOOK": provider, "CC_HEALTH_CHECK_PATH": "/health"}
    files = {str(each.relative_to(APP)): each.read_text() for each in APP.rglob("*") if each.is_file()}
    made = await rig.build({**files, "oidc_provider.js": PROVIDER.read_text()}, "node", env)
    assert made.exit.is_success, made.said
    async with rig.instance(made) as started:
        assert (await healthy(made, started)).endswith("/health 200"), "the path that needs no sign-in is asked"
        bare = await started.answer("/")
        assert bare.startswith("HTTP/1.1 302") and "asked" not in bare, bare
        back = await started.answer(path_of(head_of(bare, "location")), port=9100)
        came = await started.ask(path_of(head_of(back, "location")), cookie=head_of(bare, "set-cookie"))
        assert came is not None and came.startswith("HTTP/1.1 302"), f"{came}\n{started.said()}"
        signed_in = await started.ask("/", cookie=head_of(came, "set-cookie"))
        assert signed_in is not None and "/ for dev@example.test" in signed_in, signed_in
        assert "Via: 1.1" in signed_in, "and Varnish stands behind"
        forged = await started.ask("/", cookie="_oauth2_proxy=forged", x_forwarded_email="boss@example.test")
        assert forged is not None and forged.startswith("HTTP/1.1 302")
        ended = await started.stop(grace_s=30)
    assert ended.code == 0, started.said()
