"""Builds of small real apps in real sandboxes: what they leave is started and asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import anyio
import pytest

from havre.apps import health
from havre.base.errors import InvalidError
from havre.kernel.clock import SystemClock
from tests.room.build_rig import BuildRig, an_app, open_rig, places

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]
SERVER = """
const http = require("node:http")
const { APP_HOME, INSTANCE_TYPE, CC_COMMIT_ID, NODE_OPTIONS, GREETING, INSTANCE_NUMBER } = process.env
http.createServer((request, response) => {
  response.end(JSON.stringify({ home: APP_HOME, cwd: process.cwd(), type: INSTANCE_TYPE, commit: CC_COMMIT_ID,
    options: NODE_OPTIONS, greeting: GREETING, number: INSTANCE_NUMBER, secrets: Object.keys(process.env)
      .filter(name => /PIP_(?!CERT)|NPMRC|UV_INDEX/.test(name)) }))
}).listen(8080, "0.0.0.0")
"""

NUMBER = {"is-number": "7.0.0"}
_SUM = "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng=="
BUN_LOCK = {
    "lockfileVersion": 1, "configVersion": 1, "workspaces": {"": {"name": "b", "dependencies": NUMBER}},
    "packages": {"is-number": ["is-number@7.0.0", "", {}, _SUM]},
}  # fmt: skip


def manifest(**more: object) -> str:
    return json.dumps({"name": "hello", "version": "1.0.0", "scripts": {"start": "node server.js"}, **more})


def body(answer: str) -> str:
    return answer.partition("\r\n\r\n")[2]


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


async def test_a_node_app_is_installed_by_npm_and_answers(rig: BuildRig) -> None:
    tree = {"package.json": manifest(dependencies={"is-odd": "3.0.1"}), "server.js": SERVER}
    built = await rig.build(tree, "node", {"GREETING": "it's $HOME"})
    assert built.exit.is_success, built.said
    assert "npm install took" in built.said
    assert (built.release / "node_modules" / "is-odd").is_dir()
    answer = json.loads(body(await rig.answer(built)))
    assert answer == {
        "home": f"/home/bas/{built.app.id}", "cwd": f"/home/bas/{built.app.id}", "type": "production",
        "commit": built.deployment.commit_id, "options": "--max-old-space-size=768", "greeting": "it's $HOME",
        "number": "0", "secrets": [],
    }  # fmt: skip


async def test_an_app_in_a_folder_is_built_and_started_there(rig: BuildRig) -> None:
    tree = {"apps/web/package.json": manifest(), "apps/web/server.js": SERVER, "README.md": ""}
    built = await rig.build(tree, "node", {"APP_FOLDER": "/apps/web"})
    assert built.exit.is_success, built.said
    assert json.loads(body(await rig.answer(built)))["cwd"] == f"/home/bas/{built.app.id}/apps/web"


async def test_hooks_run_in_order_around_the_build_and_see_the_variables(rig: BuildRig) -> None:
    env = {
        "CC_PRE_BUILD_HOOK": "echo pre $INSTANCE_TYPE > order; test ! -d node_modules",
        "CC_POST_BUILD_HOOK": 'echo "post $SECRET" >> order && test -d node_modules/is-odd',
        "CC_PRE_RUN_HOOK": "cp order before-start && echo \"start $INSTANCE_TYPE\" >> before-start",
        "CC_RUN_COMMAND": "node -e \"require('http').createServer((q, r) => "
        "r.end(require('fs').readFileSync('before-start'))).listen(8080)\"",
        "SECRET": "a 'quoted' $thing",
    }  # fmt: skip
    tree = {"package.json": manifest(dependencies={"is-odd": "3.0.1"})}
    built = await rig.build(tree, "node", env)
    assert built.exit.is_success, built.said
    assert body(await rig.answer(built)) == "pre build\npost a 'quoted' $thing\nstart production\n"
    assert not (built.release / "before-start").exists(), "what an instance writes is gone with it"


async def test_a_command_that_fails_ends_the_build_and_is_named_last(rig: BuildRig) -> None:
    env = {"CC_PRE_BUILD_HOOK": "echo before; exit 7", "CC_POST_BUILD_HOOK": "touch never"}
    built = await rig.build({"package.json": manifest()}, "node", env)
    assert built.exit.code == 7
    assert built.said.splitlines()[-1] == "CC_PRE_BUILD_HOOK failed with exit code 7"
    assert not (built.release / "never").exists()


async def test_a_bun_app_is_installed_from_its_lock_and_started_by_bun(rig: BuildRig) -> None:
    serve = 'Bun.serve({ port: 8080, hostname: "0.0.0.0", fetch: () => new Response(`bun ${process.versions.bun}`) })'
    tree = {
        "package.json": json.dumps(
            {"name": "b", "scripts": {"start": "bun server.js", "postinstall": "bun make.js"}, "dependencies": NUMBER}
        ),
        "make.js": 'await Bun.write("made.txt", "built")', "server.js": serve, "bun.lock": json.dumps(BUN_LOCK),
    }  # fmt: skip
    built = await rig.build(tree, "node")
    assert built.plan.runtime == "bun"
    assert built.exit.is_success, built.said
    assert (built.release / "made.txt").read_text() == "built"
    assert body(await rig.answer(built)).startswith("bun 1.")


@pytest.mark.parametrize("tool", ["pnpm", "yarn"])
async def test_pnpm_and_yarn_come_by_npm(rig: BuildRig, tool: str) -> None:
    tree = {"package.json": manifest(dependencies={"is-odd": "3.0.1"}), "server.js": SERVER}
    built = await rig.build(tree, "node", {"CC_NODE_BUILD_TOOL": tool})
    assert built.exit.is_success, built.said
    assert (built.release / "node_modules" / "is-odd" / "package.json").exists()


async def test_a_python_app_with_requirements_is_served_by_gunicorn(rig: BuildRig) -> None:
    app = "def app(environ, start):\n    import colorama\n    start('200 OK', [])\n    return [colorama.__name__.encode()]\n"
    tree = {"requirements.txt": "colorama==0.4.6\n", "main.py": app}
    built = await rig.build(tree, "python", {"CC_PYTHON_MODULE": "main:app"})
    assert built.exit.is_success, built.said
    assert "colorama" in body(await rig.answer(built))


async def test_a_static_site_is_made_and_served(rig: BuildRig) -> None:
    tree = {"src/index.html": "<h1>hello</h1>"}
    env = {"CC_BUILD_COMMAND": "mkdir -p public && cp src/index.html public/", "CC_WEBROOT": "/public"}
    built = await rig.build(tree, "static", env)
    assert built.exit.is_success, built.said
    assert body(await rig.answer(built)) == "<h1>hello</h1>"


async def test_only_the_files_asked_for_are_kept(rig: BuildRig) -> None:
    tree = {"package.json": manifest(), "server.js": SERVER, "src/a/b.js": "1", "src/c.js": "2", "big/x": "3"}
    built = await rig.build(tree, "node", {"CC_IGNORE_FROM_BUILDCACHE": "/big:src/a"})
    assert built.exit.is_success, built.said
    assert sorted(each.name for each in built.release.iterdir()) == [
        "package-lock.json",
        "package.json",
        "server.js",
        "src",
    ]
    assert [each.name for each in (built.release / "src").iterdir()] == ["c.js"]
    built = await rig.build(tree, "node", {"CC_OVERRIDE_BUILDCACHE": "server.js:/src/a:package.json"})
    assert built.exit.is_success, built.said
    assert sorted(each.name for each in built.release.iterdir()) == ["package.json", "server.js", "src"]
    assert [each.name for each in (built.release / "src").iterdir()] == ["a"]
    assert json.loads(body(await rig.answer(built)))["type"] == "production"


async def test_the_operators_registry_is_asked_and_its_token_is_in_no_log(rig: BuildRig) -> None:
    home = rig.paths.data / "home"
    home.mkdir()
    (home / ".npmrc").write_text(
        "//registry.example.test/:_authToken=s3cr3t\nregistry=https://registry.example.test/\n"
    )
    rig.host = {**rig.host, "HOME": str(home)}
    env = {"CC_PRE_BUILD_HOOK": "npm config get registry; stat -c %a ~/.npmrc; env | grep -c 's3cr[3]t'; true"}
    built = await rig.build({"package.json": manifest()}, "node", env)
    assert "https://registry.example.test/\n600\n0\n" in built.said
    assert "s3cr3t" not in built.said


async def test_a_second_build_of_an_app_finds_the_packages_of_the_first(rig: BuildRig) -> None:
    app = an_app("node")
    tree = {"package.json": manifest(dependencies={"is-odd": "3.0.1"}), "server.js": SERVER}
    assert (await rig.build(tree, "node", app=app)).exit.is_success
    again = await rig.build(tree, "node", {"npm_config_offline": "true"}, app=app)
    assert again.exit.is_success, again.said
    other = await rig.build(tree, "node", {"npm_config_offline": "true"})
    assert not other.exit.is_success, "a cache belongs to one app"


async def test_installed_dependencies_are_kept_for_the_next_build_and_shared_with_no_release(rig: BuildRig) -> None:
    app = an_app("node")
    install = "ls node_modules; mkdir -p node_modules extra && date +%N >> node_modules/mark && date +%N >> extra/more"
    env = {
        "CC_CACHE_DEPENDENCIES": "true", "CC_CACHE_DEPENDENCIES_EXTRA_PATHS": "/extra",
        "CC_NODE_BUILD_TOOL": "custom", "CC_CUSTOM_BUILD_TOOL": f"/bin/sh -c '{install}'",
    }  # fmt: skip
    tree = {"package.json": manifest(), "server.js": SERVER}
    first = await rig.build(tree, "node", env, app=app)
    assert first.exit.is_success, first.said
    left = (first.release / "node_modules" / "mark").read_text()
    second = await rig.build(tree, "node", env, app=app)
    assert second.exit.is_success, second.said
    assert (second.release / "node_modules" / "mark").read_text().startswith(left)
    assert len((second.release / "extra" / "more").read_text().splitlines()) == 2
    assert (first.release / "node_modules" / "mark").read_text() == left
    without = await rig.build(tree, "node", {**env, "CC_CACHE_DEPENDENCIES": "false"}, app=app)
    assert len((without.release / "extra" / "more").read_text().splitlines()) == 1


async def test_every_health_path_must_answer_200(rig: BuildRig) -> None:
    built = await rig.build({"package.json": manifest(), "server.js": HEALTH}, "node")
    async with rig.instance(built) as started:
        check = partial(health.wait_healthy, rig.engine, started.id, plan=built.plan, clock=SystemClock())
        assert await check(env={"CC_HEALTH_CHECK_PATH": "/well"}, limit_s=60) == "health check GET /well 200"
        with pytest.raises(InvalidError, match=r"GET /ill answers 503; 2xx is expected"):
            await check(env={"CC_HEALTH_CHECK_PATH": "/well", "CC_HEALTH_CHECK_PATH_5": "/ill"}, limit_s=1)
        with pytest.raises(InvalidError, match="must start with /"):
            await check(env={"CC_HEALTH_CHECK_PATH_0": "ill"}, limit_s=1)


HEALTH = """
require("node:http").createServer((request, response) => {
  response.statusCode = request.url === "/ill" ? 503 : 200
  response.end()
}).listen(8080, "0.0.0.0")
"""


async def test_what_a_plan_has_beside_the_app_runs_and_ends_with_it(rig: BuildRig) -> None:
    built = await rig.build({"package.json": manifest(), "server.js": SERVER}, "node")
    built.plan = replace(built.plan, workers=("echo beside $PORT; exec sleep 1000",))
    async with rig.instance(built) as started:
        await started.answer()
        beside = started.log.with_name(f"{started.id}.bas-worker-0.log")
        with anyio.fail_after(30):
            while not beside.read_text():
                await anyio.sleep(0.05)
        assert beside.read_text() == "beside 8080\n"
        assert "beside" not in started.said()
        assert (await started.stop(grace_s=30)).signal == 15
