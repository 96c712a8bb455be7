"""Go and Rust beyond their examples: which program is built, which one is started, and what is said when it is not clear."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.room.build_rig import BuildRig, open_rig, places
from tests.room.runtime_suite import GO_IS_THERE

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
# until Go is there, which takes a minute once, these are left to make soak
needs_go = pytest.mark.timeout(120) if GO_IS_THERE else pytest.mark.soak
MOD = {"go.mod": "module shop\n\ngo 1.24\n"}
SERVER = """package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		text, _ := os.ReadFile("hello.txt")
		w.Write(text)
	})
	http.ListenAndServe(":8080", nil)
}
"""
WITH_C = SERVER.replace("import (", '// static int one(void) { return 1; }\nimport "C"\nimport (').replace(
    'text, _ := os.ReadFile("hello.txt")',
    'text, _ := os.ReadFile("hello.txt")\n\t\ttext = append(text, "0123"[C.one()])',
)


@pytest.fixture
async def rig() -> AsyncIterator[BuildRig]:
    with places() as paths:
        made = open_rig(paths)
        try:
            yield made
        finally:
            await made.end()


def body(answer: str) -> str:
    return answer.partition("\r\n\r\n")[2]


@needs_go
async def test_the_only_program_is_built_wherever_it_is_and_runs_in_its_folder(rig: BuildRig) -> None:
    tree = MOD | {"shop.go": "package shop\n", "cmd/web/main.go": SERVER, "web/hello.txt": "from its folder"}
    built = await rig.build(tree, "go", {"CC_GO_RUNDIR": "web"})
    assert built.exit.is_success, built.said
    assert "go build ./cmd/web" in built.said
    assert body(await rig.answer(built)) == "from its folder"


@needs_go
async def test_of_two_programs_none_is_guessed_and_the_one_asked_for_is_built(rig: BuildRig) -> None:
    tree = MOD | {"a/main.go": SERVER, "b/main.go": SERVER, "hello.txt": "b"}
    built = await rig.build(tree, "go")
    assert built.exit.code == 1
    assert "set CC_GO_PKG to one of\na\nb\n" in built.said
    built = await rig.build(tree, "go", {"CC_GO_PKG": "b/main.go", "CC_GO_BINARY": "bin/shop"})
    assert built.exit.is_success, built.said
    assert (built.release / "bin" / "shop").exists()
    assert body(await rig.answer(built)) == "b"


@pytest.mark.soak
async def test_a_program_without_modules_and_one_that_make_builds(rig: BuildRig) -> None:
    built = await rig.build({"main.go": SERVER, "hello.txt": "plain"}, "go")
    assert built.exit.is_success, built.said
    assert body(await rig.answer(built)) == "plain"
    tree = MOD | {"main.go": SERVER, "hello.txt": "made", "Makefile": "all:\n\tgo build -o bin/shop .\n"}
    built = await rig.build(tree, "go", {"CC_GO_BUILD_TOOL": "makefile", "CC_GO_BINARY": "bin/shop"})
    assert built.exit.is_success, built.said
    assert body(await rig.answer(built)) == "made"


@pytest.mark.soak
async def test_c_is_compiled_where_a_program_needs_it(rig: BuildRig) -> None:
    built = await rig.build(MOD | {"main.go": WITH_C, "hello.txt": "C"}, "go")
    assert built.exit.is_success, built.said
    assert "compiled with C, for shop" in built.said
    assert body(await rig.answer(built)) == "C1"
    built = await rig.build(MOD | {"main.go": WITH_C, "hello.txt": "C"}, "go", {"CGO_ENABLED": "0"})
    assert built.exit.code == 1


@pytest.mark.soak
async def test_go_in_the_version_that_is_asked_for(rig: BuildRig) -> None:
    tree = {"go.mod": "module shop\n\ngo 1.24\n\ntoolchain go1.25.3\n", "main.go": SERVER, "hello.txt": "x"}
    built = await rig.build(tree, "go", limit_s=600)
    assert built.exit.is_success, built.said
    assert "(go1.25.3)" in built.said


RUST = """use std::io::{Read, Write};

fn main() {
    let listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 4\\r\\n\\r\\nNAME");
    }
}
"""
CARGO = '[package]\nname = "shop"\nversion = "1.0.0"\nedition = "2021"\n'


@pytest.mark.soak
async def test_of_two_rust_programs_none_is_guessed(rig: BuildRig) -> None:
    tree = {"Cargo.toml": CARGO, "src/main.rs": RUST, "src/bin/other.rs": RUST.replace("NAME", "else")}
    built = await rig.build(tree, "rust")
    assert built.exit.code == 1
    assert "set CC_RUST_BIN to the program that is started; cargo built" in built.said
    built = await rig.build(tree, "rust", {"CC_RUST_BIN": "other"})
    assert built.exit.is_success, built.said
    assert "starts target/release/other" in built.said
    assert body(await rig.answer(built)) == "else"
    default = tree | {"Cargo.toml": CARGO + 'default-run = "shop"\n'}
    built = await rig.build(default, "rust")
    assert body(await rig.answer(built)) == "NAME"


@pytest.mark.soak
async def test_a_rust_version_that_is_not_the_stacks_is_refused_and_the_stacks_own_is_not(rig: BuildRig) -> None:
    tree = {"Cargo.toml": CARGO, "src/main.rs": RUST}
    built = await rig.build(tree, "rust", {"CC_RUSTUP_CHANNEL": "1.40"})
    assert built.exit.code == 1
    assert "CC_RUSTUP_CHANNEL asks for Rust 1.40, which cannot be had here" in built.said
