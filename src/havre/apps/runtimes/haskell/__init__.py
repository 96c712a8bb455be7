"""Haskell apps: a Cabal package, or a Main.hs alone, on GHC and the libraries of Debian. The page is README.md."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from havre.apps.runtimes.haskell.cabal import parse
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

BIN = ".havre-haskell/bin"
# what comes with GHC itself (its package database)
OF_GHC = frozenset(
    {
        "array", "base", "binary", "bytestring", "cabal", "containers", "deepseq", "directory", "exceptions",
        "filepath", "ghc", "ghc-bignum", "ghc-boot", "ghc-boot-th", "ghc-compact", "ghc-heap", "ghc-prim",
        "ghci", "haskeline", "hpc", "integer-gmp", "mtl", "parsec", "pretty", "process", "rts", "stm",
        "template-haskell", "terminfo", "text", "time", "transformers", "unix", "xhtml",
    }
)  # fmt: skip
OTHERWISE_NAMED = {"quickcheck": "quickcheck2"}
# Cabal's own way, with the packages that GHC's database has and none from elsewhere
CABAL = """\
set -e
setup=Setup.hs
[ -e Setup.lhs ] && setup=Setup.lhs
if [ ! -e "$setup" ]; then setup=/tmp/Setup.hs; echo 'import Distribution.Simple; main = defaultMain' > "$setup"; fi
ghc -v0 -package Cabal -outputdir /tmp/setup -o /tmp/havre-setup "$setup"
run() { echo "$ Setup $*"; /tmp/havre-setup "$@" --builddir=.havre-haskell/dist; }
run configure --global --prefix="$APP_ROOT/.havre-haskell" --disable-tests --disable-benchmarks \\
  --disable-library-profiling --disable-shared
run build -j2 "exe:$1"
mkdir -p .havre-haskell/bin
cp ".havre-haskell/dist/build/$1/$1" .havre-haskell/bin/"""


class Haskell:
    slug = "haskell"
    type = "haskell"
    name = "Haskell"
    variant_id = "558bab39-508c-4a04-96ca-d1fb4d6a60b4"
    packages: tuple[str, ...] = ("libffi8", "libgmp10", "libtinfo6", "zlib1g")
    programs: tuple[str, ...] = ("ghc",)
    variables = frozenset({"CC_HASKELL_STACK_TARGET"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        described = sorted(name for name in tree.names if name.endswith(".cabal"))
        if len(described) > 1:
            raise InvalidError(f"one .cabal file is expected at the top of the repository, not {', '.join(described)}")
        if described:
            return self._package(described[0], tree, env)
        source = tree.first("Main.hs", "main.hs", "app/")
        if source is None:
            raise InvalidError(
                "no .cabal file and no Main.hs at the top of the repository (from package.yaml, `hpack` makes the "
                ".cabal file: commit it)"
            )
        source = "app/Main.hs" if source == "app/" else source
        flags = ("-O1", "-threaded", "-rtsopts", "-i.", "-isrc", "-iapp", "-outputdir", "/tmp/ghc")
        place = Command("place", ("mkdir", "-p", BIN), quiet=True)
        compiled = Command("ghc", ("ghc", *flags, "-o", f"{BIN}/app", source))
        return self._plan((place, compiled), "app", env)

    def _package(self, name: str, tree: Tree, env: Mapping[str, str]) -> Plan:
        found = parse(tree.texts.get(name, ""))
        target = env.get("CC_HASKELL_STACK_TARGET", "").strip().rpartition(":")[2]
        programs = [each for each in found.executables if not target or each == target]
        if len(programs) != 1:
            known = ", ".join(found.executables) or "none"
            raise InvalidError(
                f"{name} must have one executable, it has {known}"
                + ("" if len(found.executables) < 2 else ": name yours in CC_HASKELL_STACK_TARGET")
            )
        own = name.removesuffix(".cabal").lower()
        wanted = sorted(each.lower() for each in found.depends if each.lower() not in OF_GHC | {own})
        libraries = tuple(f"libghc-{OTHERWISE_NAMED.get(each, each)}-dev" for each in wanted)
        build = Command("cabal", ("/bin/sh", "-c", CABAL, "cabal", programs[0]), quiet=True)
        notes = ("stack.yaml is not followed: the libraries are Debian's",) if "stack.yaml" in tree else ()
        return self._plan((build,), programs[0], env, libraries=libraries, notes=notes)

    def _plan(
        self,
        build: tuple[Command, ...],
        program: str,
        env: Mapping[str, str],
        *,
        libraries: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Plan:
        return Plan(
            runtime=self.slug,
            toolchains=(),
            build=build,
            start=env.get("CC_RUN_COMMAND", "").strip() or f"{BIN}/{shlex.quote(program)}",
            notes=notes,
            packages=self.packages,
            build_packages=("ghc", *libraries),
        )


RUNTIME = Haskell()
