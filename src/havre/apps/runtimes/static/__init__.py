"""Static sites: files of a folder, as they are or made by a generator, served by Caddy. The page is README.md."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.static.generators import Site, site
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

SERVERS = ("", "caddy", "static-web-server")
OUT = "/cc_static_autobuilt"
PORT = "${CC_STATIC_PORT:-$PORT}"
KIT = "/opt/havre/static/Caddyfile"
PLAIN = {
    "XDG_DATA_HOME": "/tmp/caddy", "XDG_CONFIG_HOME": "/tmp/caddy", "UV_PYTHON_DOWNLOADS": "never",
    "UV_CACHE_DIR": "/home/bas/.cache/uv", "UV_NO_PROGRESS": "1",
}  # fmt: skip


class Static:
    slug = "static"
    type = "static"
    name = "Static"
    variant_id = "0d1c9a2f-6b1e-4e1f-9f0e-6f1f3a5b7c21"
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    variables = frozenset(
        {
            "CC_WEBROOT", "CC_BUILD_COMMAND", "CC_HUGO_VERSION", "CC_STATIC_AUTOBUILD_OUTDIR", "CC_STATIC_CADDYFILE",
            "CC_STATIC_FLAGS", "CC_STATIC_PORT", "CC_STATIC_SERVER", "CC_NODE_VERSION", "CC_NODE_BUILD_TOOL",
            "CC_CUSTOM_BUILD_TOOL", "CC_NODE_DEV_DEPENDENCIES", "CC_NPM_REGISTRY", "CC_NPM_TOKEN", "CC_NPM_BASIC_AUTH",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        own = env.get("CC_BUILD_COMMAND", "").strip()
        out = _folder(env, "CC_STATIC_AUTOBUILD_OUTDIR", OUT)
        made = None if own else site(tree, env, out=out)
        webroot = _folder(env, "CC_WEBROOT", out if made else "/")
        if not own and made is None:
            _check(tree, webroot)
        start, toolchains, notes = _serve(tree, env)
        build = made or Site(
            "", (Command("CC_BUILD_COMMAND", hook=own),) if own else (), ("node", "bun", "uv") * bool(own)
        )
        return Plan(
            runtime=self.slug,
            toolchains=tuple(dict.fromkeys((*toolchains, *build.toolchains))),
            build=build.build,
            start=start,
            env={**PLAIN, **_told(env, webroot), **(build.env or {})},
            lock_files=("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "package.json"),
            notes=(*((f"{made.generator} builds this site into {out}",) if made else ()), *notes),
            build_packages=build.build_packages,
            kept=(webroot, *(name for name in ("Caddyfile",) if name in tree)) if made else (),
        )


def _folder(env: Mapping[str, str], name: str, default: str) -> str:
    """A folder of the app, relative to it; `.` for all of it."""
    path = PurePosixPath("/" + (env.get(name, "").strip() or default).strip("/"))
    if ".." in path.parts:
        raise InvalidError(f"{name} is a folder of the repository, such as /public")
    return str(path).strip("/") or "."


def _check(tree: Tree, webroot: str) -> None:
    """Raises InvalidError when there is nothing to serve."""
    if webroot == ".":
        if tree.first("index.html", "index.htm", "Caddyfile") is None:
            raise InvalidError(
                "no index.html at the top of the repository, and no generator of static sites that is known by its "
                "files: set CC_WEBROOT to the folder that is served, such as /public, or CC_BUILD_COMMAND to what "
                "makes it"
            )
    elif webroot.split("/")[0] + "/" not in tree:
        raise InvalidError(f"CC_WEBROOT=/{webroot} is not a folder of the repository")


def _serve(tree: Tree, env: Mapping[str, str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The start line, its toolchains, notes: a Caddyfile of the app's own, else what serves every site."""
    if env.get("CC_RUN_COMMAND", "").strip():
        return env["CC_RUN_COMMAND"].strip(), ("caddy",), ()
    server = env.get("CC_STATIC_SERVER", "").strip()
    if server not in SERVERS:
        raise InvalidError(f"CC_STATIC_SERVER={server} is not one of {', '.join(SERVERS[1:])}")
    flags = env.get("CC_STATIC_FLAGS", "").strip()
    tail = f" {flags}" if flags else ""
    config = env.get("CC_STATIC_CADDYFILE", "").strip() or ("Caddyfile" if "Caddyfile" in tree else "")
    if server == "caddy":
        return f'caddy file-server --listen ":{PORT}" --root "$STATIC_ROOT"{tail}', ("caddy",), ()
    if config:
        return f"caddy run --adapter caddyfile --config {shlex.quote(config)}{tail}", ("caddy",), ()
    notes = ("CC_STATIC_FLAGS is static-web-server's; Caddy serves here, see CC_STATIC_SERVER",) if flags else ()
    return f'STATIC_PORT="{PORT}" caddy run --adapter caddyfile --config {KIT}', ("caddy", "static"), notes


def _told(env: Mapping[str, str], webroot: str) -> dict[str, str]:
    """What the Caddyfile of the kit reads; the pages by static-web-server's own variables."""
    told = {"STATIC_ROOT": "$APP_ROOT" if webroot == "." else f"$APP_ROOT/{webroot}"}
    for name, variable in (("STATIC_FALLBACK", "SERVER_FALLBACK_PAGE"), ("STATIC_404", "SERVER_ERROR_PAGE_404")):
        page = env.get(variable, "").strip().removeprefix("./").lstrip("/").removeprefix(f"{webroot}/")
        if page and not set(page) & set(" {}\"'"):
            told[name] = f"/{page}" if name == "STATIC_FALLBACK" else page
    return {"STATIC_FALLBACK": "", **told}


RUNTIME = Static()
