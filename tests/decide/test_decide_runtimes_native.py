"""Go and Rust: what is built and started for which files and variables."""

from __future__ import annotations

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree, go
from havre.base.errors import InvalidError


def tree(*names: str, **texts: str) -> Tree:
    files = {name.replace("_", "."): text for name, text in texts.items()}
    return Tree(frozenset((*names, *files)), files)


def plan(slug: str, seen: Tree, **env: str) -> Plan:
    return runtimes.detect(slug, seen, env, memory_mib=1024)


MOD = tree(go_mod="module shop\n\ngo 1.24\n")


@pytest.mark.parametrize(
    ("mod", "env", "toolchain"),
    [
        ("go 1.24\n", {}, "go"),
        ("go 1.22.3\n", {}, "go"),
        ("go 1.99\n", {}, "go@>=1.99"),
        ("go 1.22\n\ntoolchain go1.24.3\n", {}, "go@>=1.24.3"),
        ("go 1.24rc1\n", {}, "go"),
        ("", {"CC_GO_VERSION": "1.25"}, "go@1.25"),
        ("go 1.22\ntoolchain go1.24.3\n", {"CC_GO_VERSION": "go1.25.1"}, "go@1.25.1"),
    ],
)
def test_the_version_is_the_variables_then_what_go_mod_needs(mod: str, env: dict[str, str], toolchain: str) -> None:
    assert go.toolchain(tree(go_mod=mod), env) == toolchain


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidError, match="CC_GO_VERSION=latest"):
        plan("go", MOD, CC_GO_VERSION="latest")


def test_a_program_needs_the_compiler_in_its_build_alone() -> None:
    found = plan("go", MOD)
    assert (found.toolchains, found.build_toolchains) == ((), ("go",))
    assert found.start == 'exec "$APP_HOME/.havre/app"'
    assert found.env == {"GOMEMLIMIT": "$MIB_90MiB", "GOMAXPROCS": "$CPUS"}
    assert plan("go", MOD, CC_RUN_COMMAND="go run .").toolchains == ("go",)


@pytest.mark.parametrize(
    ("asked", "package"),
    [("", ""), ("main.go", "."), ("cmd/web/main.go", "./cmd/web"), ("./cmd/web", "./cmd/web"), (".", "."),
     ("example.org/shop/cmd", "example.org/shop/cmd")],
)  # fmt: skip
def test_the_package_is_the_one_asked_for(asked: str, package: str) -> None:
    assert plan("go", MOD, CC_GO_PKG=asked).build[0].argv[-1] == package


def test_binary_and_folder_say_what_is_started_and_where() -> None:
    found = plan("go", MOD, CC_GO_BINARY="bin/shop", CC_GO_RUNDIR="/web/")
    assert found.start == 'cd "$APP_ROOT/web" && exec "$APP_ROOT/bin/shop"'
    assert '"$APP_ROOT/bin/shop"' in found.build[0].argv[2]
    for name in ("CC_GO_BINARY", "CC_GO_RUNDIR", "CC_GO_PKG"):
        with pytest.raises(InvalidError, match=name):
            plan("go", MOD, **{name: "a/../../b"})
        with pytest.raises(InvalidError, match=name):
            plan("go", MOD, **{name: 'a"; rm -rf /'})


def test_make_builds_where_it_is_asked_to_and_must_leave_a_known_program() -> None:
    made = plan("go", tree("Makefile", "go.mod"), CC_GO_BUILD_TOOL="makefile", CC_GO_BINARY="bin/shop")
    assert [each.name for each in made.build] == ["make", "what to start"]
    with pytest.raises(InvalidError, match="CC_GO_BINARY"):
        plan("go", tree("Makefile"), CC_GO_BUILD_TOOL="makefile")
    with pytest.raises(InvalidError, match="Makefile"):
        plan("go", MOD, CC_GO_BUILD_TOOL="makefile", CC_GO_BINARY="x")


def test_modules_are_on_with_a_go_mod_and_off_without() -> None:
    assert plan("go", MOD).build_env["GO111MODULE"] == "on"
    assert plan("go", tree("main.go")).build_env["GO111MODULE"] == "off"
    with pytest.raises(InvalidError, match=r"no go\.mod"):
        plan("go", tree("main.go"), CC_GO_BUILD_TOOL="gomod")
    with pytest.raises(InvalidError, match="goget"):
        plan("go", MOD, CC_GO_BUILD_TOOL="goget")


def test_cargo_builds_what_is_asked_for() -> None:
    found = plan("rust", tree("Cargo.toml", "Cargo.lock"), CC_RUST_BIN="shop", CC_RUST_FEATURES="a,b c")
    assert found.build[0].argv == (
        "cargo", "build", "--release", "--locked", "--bin", "shop", "--features", "a,b,c"
    )  # fmt: skip
    assert plan("rust", tree("Cargo.toml")).build[0].argv == ("cargo", "build", "--release")
    assert found.build_packages == ("rustc-web", "cargo-web", "libssl-dev")
    assert found.packages == ()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CC_RUSTUP_CHANNEL": "nightly"}, "CC_RUSTUP_CHANNEL=nightly"),
        ({"CC_RUST_BIN": "--bins"}, "CC_RUST_BIN"),
        ({"CC_RUST_FEATURES": "-x"}, "CC_RUST_FEATURES"),
    ],
)
def test_what_rust_cannot_be_asked_for_is_refused(env: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        plan("rust", tree("Cargo.toml"), **env)


def test_a_rust_version_is_compared_in_the_build_and_a_file_that_names_one_is_told_of() -> None:
    assert plan("rust", tree("Cargo.toml"), CC_RUSTUP_CHANNEL="1.80").build[0].name == "Rust 1.80"
    assert plan("rust", tree("Cargo.toml"), CC_RUSTUP_CHANNEL="stable").build[0].name == "cargo"
    seen = Tree(
        frozenset({"Cargo.toml", "rust-toolchain.toml"}), {"rust-toolchain.toml": '[toolchain]\nchannel = "1.70"\n'}
    )
    assert "rust-toolchain.toml is not followed" in plan("rust", seen).notes[0]
    seen = Tree(frozenset({"Cargo.toml", "rust-toolchain"}), {"rust-toolchain": "nightly-2026-01-01\n"})
    with pytest.raises(InvalidError, match="asks for nightly"):
        plan("rust", seen)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidError, match=r"Cargo\.toml"):
        plan("rust", tree("README.md"))
