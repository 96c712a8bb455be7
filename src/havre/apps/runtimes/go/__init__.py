"""Go programs, compiled with the Go that their go.mod asks for. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError
from havre.drivers.toolchains import GO_VERSION

TOOLS = ("gomod", "gobuild", "makefile")
OUT = "$APP_HOME/.havre/app"
CACHE = "/home/bas/.cache"
# Which package: the one asked for, else the only main package. C: only where a package of the app's needs it, because
# without it the compiled standard library of the toolchain serves, and the program needs nothing of the system.
BUILD = """
set -eu
export GOFLAGS="-modcacherw ${GOFLAGS:-}" GODEBUG="installgoroot=all${GODEBUG:+,$GODEBUG}"
package=$1 out=$2
if [ -z "$package" ]; then
  found=$(go list -e -find -f '{{if eq .Name "main"}}{{.Dir}}{{end}}' ./... | sed -n '/./p')
  case "$found" in
    '') echo "there is no package main here: set CC_GO_PKG to the folder of the one to build"; exit 1 ;;
    "$PWD"|"$PWD
"*) package=. ;;
    *"
"*) echo "more than one package main: set CC_GO_PKG to one of"; printf '%s\\n' "$found" | sed "s|^$PWD/||"; exit 1 ;;
    *) package="./${found#"$PWD/"}" ;;
  esac
fi
if [ -z "${CGO_ENABLED:-}" ]; then
  uses=$(CGO_ENABLED=1 go list -e -deps -f '{{if and (not .Standard) .CgoFiles}}{{.ImportPath}}{{end}}' "$package")
  uses=$(printf %s "$uses" | sed -n '/./{p;q}')
  [ -z "$uses" ] || echo "compiled with C, for $uses"
  CGO_ENABLED=$([ -z "$uses" ] && echo 0 || echo 1)
  export CGO_ENABLED
fi
mkdir -p "$(dirname "$out")"
echo "$ go build $package ($(go env GOVERSION))"
go build -o "$out" "$package"
"""
MAKE = '[ -f "$1" ] && [ -x "$1" ] || { echo "CC_GO_BINARY=$1: make left no such program"; exit 1; }'
_GO = re.compile(r"^go\s+(\d+\.\d+(?:\.\d+)?)\s*$", re.M)
_TOOLCHAIN = re.compile(r"^toolchain\s+go(\d+\.\d+(?:\.\d+)?)\s*$", re.M)
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


class Go:
    slug = "go"
    type = "go"
    name = "Go"
    variant_id = "b7e506a9-241e-49b9-85d4-df74d85e0178"
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    variables = frozenset({"CC_GO_BUILD_TOOL", "CC_GO_PKG", "CC_GO_BINARY", "CC_GO_RUNDIR", "CC_GO_VERSION"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        tool = env.get("CC_GO_BUILD_TOOL", "").strip() or ("gomod" if "go.mod" in tree else "gobuild")
        if tool not in TOOLS:
            raise InvalidError(f"CC_GO_BUILD_TOOL={tool} is not offered here; offered: {', '.join(TOOLS)}")
        if tool == "gomod" and "go.mod" not in tree:
            raise InvalidError(
                "no go.mod at the top of the repository: run go mod init and commit it (is the app in a sub-folder? "
                "then set APP_FOLDER)"
            )
        run = env.get("CC_RUN_COMMAND", "").strip()
        binary, go = _inside(env, "CC_GO_BINARY"), toolchain(tree, env)
        build_env = {
            "GOPATH": f"{CACHE}/go",
            "GOCACHE": f"{CACHE}/go-build",
            "GOTOOLCHAIN": "local",
            "GOMEMLIMIT": "off",
        }
        build_env |= {
            "GO111MODULE": "on" if "go.mod" in tree else "off",
            "GOTELEMETRY": "off",
            "GODEBUG": "installgoroot=all",
        }
        return Plan(
            runtime=self.slug,
            toolchains=(go,) if run.startswith("go ") else (),
            build=self._make(tree, binary, run) if tool == "makefile" else self._build(env, binary),
            start=run or _start(binary, _inside(env, "CC_GO_RUNDIR")),
            env={"GOMEMLIMIT": "$MIB_90MiB", "GOMAXPROCS": "$CPUS"},
            lock_files=("go.mod", "go.sum"),
            build_toolchains=(go,),
            build_env=build_env,
        )

    def _build(self, env: Mapping[str, str], binary: str) -> tuple[Command, ...]:
        package = _inside(env, "CC_GO_PKG")
        if package.endswith(".go"):  # the file with main(): its whole package
            package = package.rpartition("/")[0] or "."
        is_local = package in ("", ".") or "." not in package.partition("/")[0]
        package = package if not package or package == "." or not is_local else f"./{package}"
        out = f'"$APP_ROOT/{binary}"' if binary else f'"{OUT}"'
        return (Command("go build", ("/bin/sh", "-c", f'set -- "$1" {out}{BUILD}', "build", package), quiet=True),)

    def _make(self, tree: Tree, binary: str, run: str) -> tuple[Command, ...]:
        if tree.first("Makefile", "makefile", "GNUmakefile") is None:
            raise InvalidError("CC_GO_BUILD_TOOL=makefile needs a Makefile at the top of the repository")
        if not binary and not run:
            raise InvalidError("CC_GO_BUILD_TOOL=makefile needs CC_GO_BINARY, the program that make leaves")
        check = (Command("what to start", ("/bin/sh", "-c", MAKE, "check", binary), quiet=True),) if binary else ()
        return (Command("make", ("make",)), *check)


def toolchain(tree: Tree, env: Mapping[str, str]) -> str:
    """CC_GO_VERSION exactly, else at least what go.mod asks for (go.dev/doc/toolchain), else ours."""
    exact = env.get("CC_GO_VERSION", "").strip().removeprefix("go")
    if exact:
        if not _VERSION.fullmatch(exact):
            raise InvalidError(f"CC_GO_VERSION={exact} is not a version of Go, such as 1.24 or 1.24.3")
        return f"go@{exact}"
    text = tree.texts.get("go.mod", "")
    if named := _TOOLCHAIN.search(text):
        return f"go@>={named[1]}"
    least = _GO.search(text)
    is_newer = least is not None and _numbers(least[1]) > _numbers(GO_VERSION)
    return f"go@>={least[1]}" if least is not None and is_newer else "go"


def _start(binary: str, folder: str) -> str:
    program = f'"$APP_ROOT/{binary}"' if binary else f'"{OUT}"'
    return f'cd "$APP_ROOT/{folder}" && exec {program}' if folder else f"exec {program}"


def _inside(env: Mapping[str, str], name: str) -> str:
    """A path of the app, without what the shell would read in it."""
    path = env.get(name, "").strip().removeprefix("./").strip("/")
    if ".." in path.split("/") or set(path) & set(" '\"$`;&|<>()\\\n"):
        raise InvalidError(f"{name}={env[name]} is not a plain path inside the app")
    return path


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))


RUNTIME = Go()
