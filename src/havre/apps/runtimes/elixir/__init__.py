"""Elixir apps: Mix projects, Phoenix among them, or releases. The page is README.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from havre.apps.runtimes.plan import Command, Plan, is_true
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.versions import version_check
from havre.base.errors import InvalidError

_APP = re.compile(r"^\s*(?:\[\s*)?app:\s*:(\w+)", re.M)
VERSION = ("elixir", "--short-version")
_GOAL = re.compile(r"[\w.:/= -]+")


class Elixir:
    slug = "elixir"
    type = "erlang"
    name = "Elixir"
    variant_id = "9e23b9a8-d40e-41ad-9739-5d31b81e200e"
    packages: tuple[str, ...] = (
        "elixir", "erlang-asn1", "erlang-crypto", "erlang-inets", "erlang-os-mon", "erlang-public-key",
        "erlang-runtime-tools", "erlang-ssl", "erlang-syntax-tools", "erlang-xmerl",
    )  # fmt: skip
    programs: tuple[str, ...] = ("mix", "erl")
    variables = frozenset(
        {
            "CC_ELIXIR_VERSION", "CC_MIX_BUILD_GOAL", "CC_PHOENIX_ASSETS_DIR", "CC_PHOENIX_DIGEST_GOAL",
            "CC_PHOENIX_SERVER_GOAL", "CC_PHOENIX_RUN_ECTO_MIGRATE",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        if "mix.exs" not in tree:
            raise InvalidError(
                "no mix.exs at the top of the repository: an Elixir app is a Mix project "
                "(is the app in a sub-folder? then set APP_FOLDER)"
            )
        project = tree.texts.get("mix.exs", "")
        goal = self._goal(env, "CC_MIX_BUILD_GOAL", "compile")
        is_phoenix = bool(re.search(r"\{\s*:phoenix\s*,", project))
        assets = self._assets(tree, env) if is_phoenix else ""
        asked = env.get("CC_ELIXIR_VERSION", "")
        build = [*version_check("Elixir", asked=asked, who="CC_ELIXIR_VERSION", program=VERSION)]
        build += self._packages(tree, project)
        if assets:
            build.append(Command("npm install", ("npm", "install", "--prefix", assets, "--no-audit", "--no-fund")))
        if goal.split()[0] != "compile":
            build.append(Command("mix compile", ("mix", "compile")))
        if is_phoenix:
            build += self._phoenix(env, assets)
        build.append(Command(f"mix {goal}", ("mix", *goal.split())))
        return Plan(
            runtime=self.slug,
            toolchains=("node",) if assets else (),
            build=tuple(build),
            start=self._start(env, project, goal, is_phoenix=is_phoenix),
            env={
                "MIX_ENV": "prod", "MIX_HOME": "$APP_ROOT/.havre-mix", "HEX_HOME": "/home/bas/.cache/hex",
                "RELEASE_TMP": "/tmp", "ERL_CRASH_DUMP_BYTES": "0",
            },
            lock_files=("mix.lock",),
            dependencies=("deps", "_build"),
            packages=self.packages,
            build_packages=("erlang-dev", "erlang-parsetools", "erlang-tools", "erlang-eunit"),
        )  # fmt: skip

    def _packages(self, tree: Tree, project: str) -> tuple[Command, ...]:
        """What fetches the dependencies. Hex only for who uses it: it comes from its own server, not from Debian."""
        if '"' in tree.texts.get("mix.lock", "") and ":hex" in tree.texts.get("mix.lock", ""):
            return (
                Command("mix local.hex", ("mix", "local.hex", "--force", "--if-missing")),
                Command("mix local.rebar", ("mix", "local.rebar", "--force", "--if-missing")),
                Command("mix deps.get", ("mix", "deps.get", "--only", "prod")),
            )
        return (Command("mix deps.get", ("mix", "deps.get", "--only", "prod")),) if "deps" in project else ()

    def _phoenix(self, env: Mapping[str, str], assets: str) -> list[Command]:
        digest = self._goal(env, "CC_PHOENIX_DIGEST_GOAL", "phx.digest")
        made = [Command("mix compile", ("mix", "compile"))]
        if assets:
            made.append(Command("npm run deploy", ("npm", "run", "deploy", "--prefix", assets, "--if-present")))
        return [*made, Command(f"mix {digest}", ("mix", *digest.split()))]

    def _assets(self, tree: Tree, env: Mapping[str, str]) -> str:
        """The folder whose package.json is installed; empty: there is none."""
        asked = env.get("CC_PHOENIX_ASSETS_DIR", "").strip().strip("/")
        if ".." in asked.split("/"):
            raise InvalidError(f"CC_PHOENIX_ASSETS_DIR={asked} must be a folder of the app")
        return asked or ("." if "package.json" in tree else "")

    def _start(self, env: Mapping[str, str], project: str, goal: str, *, is_phoenix: bool) -> str:
        if own := env.get("CC_RUN_COMMAND", "").strip():
            return own
        server = f"mix {self._goal(env, 'CC_PHOENIX_SERVER_GOAL', 'phx.server')}"
        start = server if is_phoenix else "mix run --no-halt"
        if goal.split()[0] == "release":
            words = goal.split()[1:]
            found = _APP.search(project)
            name = next((each for each in words if not each.startswith("-")), found[1] if found else "")
            if not name:
                raise InvalidError("mix.exs does not say its app's name (app: :name): set CC_RUN_COMMAND")
            start = f"_build/prod/rel/{shlex.quote(name)}/bin/{shlex.quote(name)} start"
        migrates = is_true(env.get("CC_PHOENIX_RUN_ECTO_MIGRATE")) and not goal.startswith("release")
        return f"mix ecto.migrate && exec {start}" if migrates else start

    def _goal(self, env: Mapping[str, str], name: str, default: str) -> str:
        asked = env.get(name, "").strip() or default
        if not _GOAL.fullmatch(asked):
            raise InvalidError(f"{name}={asked} is not a task of Mix with its arguments")
        return asked


RUNTIME = Elixir()
