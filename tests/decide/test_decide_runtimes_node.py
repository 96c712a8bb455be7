"""Node apps: which version, which installer, which start line."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.base.errors import InvalidError
from havre.drivers import toolchains

INSTALLED = toolchains.node_version()


def detect(package: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None, **files: str) -> Plan:
    texts = {name.replace("__", "."): text for name, text in files.items()}
    texts["package.json"] = json.dumps({"scripts": {"start": "node server.js"}, **(package or {})})
    return runtimes.detect("node", Tree(frozenset(texts), texts), env or {}, memory_mib=1024)


@pytest.mark.parametrize(
    ("asked", "toolchain"),
    [
        ("24.x", "node"), (">=18", "node"), (">= 20 <23", "node@22.20.0"), ("^20 || ^22", "node@22.20.0"),
        ("22", "node@22.20.0"), ("20.13.1", "node@20.13.1"), ("~22.12", "node@22.12.0"), ("*", "node"),
        ("v22.11.0", "node@22.11.0"), (f"={INSTALLED}", "node"),
    ],
)  # fmt: skip
def test_engines_choose_the_newest_node_that_fits(asked: str, toolchain: str) -> None:
    assert detect({"engines": {"node": asked}}).toolchains == (toolchain,)


def test_every_range_that_is_chosen_can_be_fetched() -> None:
    for version in toolchains.NODE_VERSIONS:
        assert detect({"engines": {"node": version}}).toolchains == (f"node@{version}",)


def test_engines_win_over_the_variable_which_wins_over_the_file() -> None:
    env = {"CC_NODE_VERSION": "20"}
    assert detect({"engines": {"node": "22"}}, env, __nvmrc="24").toolchains == ("node@22.20.0",)
    assert detect({"engines": {"npm": ">6"}}, env, __nvmrc="22").toolchains == ("node@20.18.0",)
    assert detect({}, {}, __nvmrc="v22\n").toolchains == ("node@22.20.0",)


@pytest.mark.parametrize(("said", "toolchain"), [("lts/*", "node"), ("lts/jod", "node@22.20.0"), ("node", "node")])
def test_the_names_of_node_lines_are_understood(said: str, toolchain: str) -> None:
    assert detect({}, {}, __nvmrc=said).toolchains == (toolchain,)


@pytest.mark.parametrize("asked", ["18.x", "26", ">=30", "lts/hydrogen"])
def test_a_node_that_cannot_be_had_is_refused_by_name(asked: str) -> None:
    with pytest.raises(InvalidError, match=r"CC_NODE_VERSION asks for Node .* there is Node 24, 22, 20"):
        detect({}, {"CC_NODE_VERSION": asked})


@pytest.mark.parametrize(
    ("script", "start"),
    [
        ("bun server.js", "bun server.js"), ("bun run src/index.ts --port 8080", "bun run src/index.ts --port 8080"),
        ("bun ./dist/app.mjs", "bun ./dist/app.mjs"), ("bun run serve", "bun --bun run start"),
        ("bun vite preview", "bun --bun run start"), ("bun --hot server.js", "bun --bun run start"),
        ("node server.js", "bun --bun run start"), ("bun a.js && bun b.js", "bun --bun run start"),
    ],
)  # fmt: skip
def test_a_script_that_is_bun_with_a_file_has_no_other_bun_around_it(script: str, start: str) -> None:
    env = {"CC_NODE_BUILD_TOOL": "bun"}
    assert detect({"scripts": {"start": script}}, env).start == start
    hooked = {"scripts": {"prestart": "bun make.js", "start": script}}
    assert detect(hooked, env).start == "bun --bun run start"


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(InvalidError, match="not a version"):
        detect({"engines": {"node": "the good one"}})


def test_a_lock_of_yarn_2_or_later_is_installed_without_change() -> None:
    plan = detect({"packageManager": "yarn@4.5.0"}, yarn__lock="")
    assert [command.argv[-1] for command in plan.build] == ["@yarnpkg/cli-dist@4.5.0", "--immutable"]
    assert plan.env["YARN_NODE_LINKER"] == "node-modules"
    assert plan.start == "node server.js"


def test_plug_and_play_is_started_by_yarn() -> None:
    plan = detect({}, {}, yarn__lock="", __yarnrc__yml="nodeLinker: pnp\n")
    assert plan.start == "node .havre-yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js run start"
    assert "YARN_NODE_LINKER" not in plan.env
    other = detect({}, {}, yarn__lock="", __yarnrc__yml="nodeLinker: pnpm\n")
    assert other.start == "node server.js" and "YARN_NODE_LINKER" not in other.env


def test_a_yarn_lock_alone_is_yarn_1() -> None:
    assert detect({}, {}, yarn__lock="").build[0].argv[-4:] == (
        "install", "--frozen-lockfile", "--production=false", "--non-interactive",
    )  # fmt: skip


def test_dev_dependencies_are_left_out_when_asked() -> None:
    env = {"CC_NODE_DEV_DEPENDENCIES": "ignore"}
    assert "--omit=dev" in detect({}, env).build[0].argv
    berry = detect({"packageManager": "yarn@4.0.0"}, env, yarn__lock="").build[-1].argv
    assert berry[-4:] == ("workspaces", "focus", "--all", "--production")
