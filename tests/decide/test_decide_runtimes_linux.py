"""Linux, Elixir and Haskell apps: what is built and started of which files, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.apps.runtimes.haskell.cabal import parse
from havre.base.errors import InvalidError

MAKEFILE = "CC := gcc\nrun:=x\nall: build\nbuild: a.o b.o\n\tcc\n\nrun : build\n\t./a\n"
MISE = '[tasks.build]\nrun = "x"\n[tasks]\nrun = "y"\n'
MIX = "defmodule A.MixProject do\n  def project do\n    [\n      app: :shop,\n      deps: deps()\n    ]\n"
PHOENIX = MIX + '  defp deps, do: [{:phoenix, "~> 1.7"}, {:ecto_sql, "~> 3.10"}]\n'


def detected(slug: str, texts: Mapping[str, str], env: Mapping[str, str] | None = None, *names: str) -> Plan:
    return runtimes.detect(slug, Tree(frozenset({*texts, *names}), texts), env or {}, memory_mib=1024)


def built(plan: Plan) -> list[str]:
    return [each.hook or " ".join(each.argv) for each in plan.build]


def refusal(slug: str, texts: Mapping[str, str], env: Mapping[str, str] | None = None, *names: str) -> str:
    with pytest.raises(InvalidError) as refused:
        detected(slug, texts, env, *names)
    return refused.value.message


@pytest.mark.parametrize(
    ("texts", "env", "build", "start"),
    [
        ({}, {"CC_RUN_COMMAND": "./a"}, [], "./a"),
        ({}, {"CC_BUILD_COMMAND": "./b", "CC_RUN_COMMAND": "./a"}, ["./b"], "./a"),
        ({"Makefile": MAKEFILE}, {}, ["make -f Makefile build"], "make --no-print-directory -f Makefile run"),
        ({"Makefile": MAKEFILE, "GNUmakefile": "run:\n"}, {}, [], "make --no-print-directory -f GNUmakefile run"),
        ({"Makefile": MAKEFILE}, {"CC_RUN_COMMAND": "./a"}, ["make -f Makefile build"], "./a"),
        ({"Makefile": MAKEFILE, "mise.toml": MISE}, {}, ["mise run build"], "mise run run"),
        (
            {"Makefile": MAKEFILE, "mise.toml": MISE}, {"CC_DISABLE_MISE": "true"},
            ["make -f Makefile build"], "make --no-print-directory -f Makefile run",
        ),
        ({"mise.toml": MISE}, {"CC_BUILD_COMMAND": "./b"}, ["./b"], "mise run run"),
        ({"mise.toml": MISE + '[tools]\nzig = "0.15"\n'}, {}, ["mise install", "mise run build"], "mise run run"),
    ],
)  # fmt: skip
def test_a_linux_app_is_built_and_started_by_the_first_that_says_how(
    texts: dict[str, str], env: dict[str, str], build: list[str], start: str
) -> None:
    plan = detected("linux", texts, env)
    assert built(plan) == build and plan.start == start
    assert ("mise" in plan.toolchains) == any("mise" in each for each in (*build, start))


def test_a_makefile_of_another_name_is_asked_for_its_target() -> None:
    plan = detected("linux", {}, {"CC_MAKEFILE": "deploy/prod.mk"})
    assert plan.build[0].argv[-1] == plan.start.split()[3] == "deploy/prod.mk"
    assert "has no target build" in plan.build[0].argv[2]


@pytest.mark.parametrize(
    ("texts", "env", "says"),
    [
        ({}, {}, "set CC_RUN_COMMAND"),
        ({"Makefile": "build: x\n"}, {}, "(Makefile has none)"),
        ({"Makefile": "run := x\n"}, {}, "(Makefile has none)"),
        ({"mise.toml": "[tasks"}, {}, "mise.toml is not valid TOML"),
        ({}, {"CC_MAKEFILE": "gone.mk"}, "is not in the repository"),
        ({}, {"CC_MAKEFILE": "../x.mk"}, "must be a file of the app"),
    ],
)
def test_a_linux_app_that_does_not_say_how_it_starts_is_refused(
    texts: dict[str, str], env: dict[str, str], says: str
) -> None:
    assert says in refusal("linux", texts, env)


def test_an_elixir_app_is_a_mix_project() -> None:
    assert "no mix.exs" in refusal("elixir", {})
    plan = detected("elixir", {"mix.exs": MIX})
    assert built(plan) == ["mix deps.get --only prod", "mix compile"]
    assert plan.start == "mix run --no-halt" and plan.env["MIX_ENV"] == "prod"
    assert plan.notes == ()


def test_hex_is_fetched_for_who_uses_it_alone() -> None:
    lock = '%{\n  "plug": {:hex, :plug, "1.15.0", "abc"},\n}\n'
    plan = detected("elixir", {"mix.exs": MIX, "mix.lock": lock})
    assert built(plan)[:2] == ["mix local.hex --force --if-missing", "mix local.rebar --force --if-missing"]


@pytest.mark.parametrize(
    ("goal", "start"),
    [
        ("release", "_build/prod/rel/shop/bin/shop start"),
        ("release web --overwrite", "_build/prod/rel/web/bin/web start"),
        ("compile --all-warnings", "mix run --no-halt"),
    ],
)
def test_the_build_goal_decides_how_an_elixir_app_starts(goal: str, start: str) -> None:
    plan = detected("elixir", {"mix.exs": MIX}, {"CC_MIX_BUILD_GOAL": goal})
    assert plan.start == start and built(plan)[-1] == f"mix {goal}"


def test_phoenix_gets_its_assets_digested_and_its_database_migrated() -> None:
    env = {"CC_PHOENIX_ASSETS_DIR": "/assets", "CC_PHOENIX_RUN_ECTO_MIGRATE": "true"}
    plan = detected("elixir", {"mix.exs": PHOENIX}, env)
    assert plan.toolchains == ("node",)
    steps = built(plan)
    assert steps.index("npm run deploy --prefix assets --if-present") < steps.index("mix phx.digest")
    assert plan.start == "mix ecto.migrate && exec mix phx.server"
    assert "mix phx.digest" not in built(detected("elixir", {"mix.exs": MIX}))


def test_an_elixir_version_is_checked_first_and_a_strange_goal_refused() -> None:
    first = detected("elixir", {"mix.exs": MIX}, {"CC_ELIXIR_VERSION": "1.18"}).build[0]
    assert first.name == "Elixir 1.18" and first.argv[-2:] == ("elixir", "--short-version")
    assert "not a task of Mix" in refusal("elixir", {"mix.exs": MIX}, {"CC_MIX_BUILD_GOAL": "compile; rm -rf /"})


CABAL = """\
cabal-version: 2.4
name: shop
common shared
    build-depends: base >=4, text
                 , HTTP
library
    exposed-modules: A
    build-depends:
      aeson ^>=2.0
      , bytestring
executable shop-server
    main-is: Main.hs
    -- build-depends: commented-out
    build-depends: shop, scotty
    if os(linux)
        build-depends: unix
test-suite spec
    build-depends: hspec
"""


def test_a_cabal_file_tells_its_executables_and_what_they_depend_on() -> None:
    found = parse(CABAL)
    assert found.executables == ("shop-server",)
    assert found.depends == {"base", "text", "HTTP", "aeson", "bytestring", "shop", "scotty", "unix"}


def test_haskells_libraries_are_debians_packages() -> None:
    plan = detected("haskell", {"shop.cabal": CABAL}, {}, "stack.yaml")
    assert plan.build_packages == ("ghc", "libghc-aeson-dev", "libghc-http-dev", "libghc-scotty-dev")
    assert "ghc" not in plan.packages, "no compiler in the instances"
    assert plan.start == ".havre-haskell/bin/shop-server"
    assert "stack.yaml is not followed" in plan.notes[0]


def test_a_main_alone_is_compiled_with_the_packages_that_are_named() -> None:
    plan = detected("haskell", {}, {"HAVRE_PACKAGES": "libghc-warp-dev, libpq5"}, "Main.hs")
    assert plan.packages[-2:] == ("libghc-warp-dev", "libpq5")
    assert plan.build[-1].argv[-1] == "Main.hs" and plan.start == ".havre-haskell/bin/app"


@pytest.mark.parametrize(
    ("texts", "env", "names", "says"),
    [
        ({}, {}, ("package.yaml",), "no .cabal file and no Main.hs"),
        ({"a.cabal": CABAL, "b.cabal": CABAL}, {}, (), "not a.cabal, b.cabal"),
        ({"a.cabal": "library\n  build-depends: base\n"}, {}, (), "must have one executable, it has none"),
        ({"a.cabal": "executable x\nexecutable y\n"}, {}, (), "it has x, y: name yours in CC_HASKELL_STACK_TARGET"),
    ],
)
def test_a_haskell_app_without_one_program_is_refused(
    texts: dict[str, str], env: dict[str, str], names: tuple[str, ...], says: str
) -> None:
    assert says in refusal("haskell", texts, env, *names)


def test_one_of_several_executables_can_be_named() -> None:
    texts = {"a.cabal": "executable x\nexecutable y\n"}
    plan = detected("haskell", texts, {"CC_HASKELL_STACK_TARGET": "a:exe:y"})
    assert plan.start == ".havre-haskell/bin/y"


@pytest.mark.parametrize("names", ["-o", "a;b", "Ümlaut", "x " * 101 + "y2"])
def test_what_is_no_debian_package_is_refused(names: str) -> None:
    assert "HAVRE_PACKAGES" in refusal("linux", {}, {"CC_RUN_COMMAND": "./a", "HAVRE_PACKAGES": names})
