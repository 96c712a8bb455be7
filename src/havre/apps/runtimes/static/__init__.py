"""Static sites: files of a folder, built or as they are, served by Caddy. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError


class Static:
    slug = "static"
    type = "static"
    name = "Static"
    variant_id = "0d1c9a2f-6b1e-4e1f-9f0e-6f1f3a5b7c21"
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    variables = frozenset({"CC_WEBROOT", "CC_STATIC_SERVER"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        webroot = PurePosixPath("/" + env.get("CC_WEBROOT", "/").strip("/"))
        if ".." in webroot.parts:
            raise InvalidError("CC_WEBROOT is a folder of the repository, such as /public")
        build = env.get("CC_BUILD_COMMAND", "")
        at_top = str(webroot) == "/"
        if at_top and not build and "index.html" not in tree:
            raise InvalidError(
                "no index.html at the top of the repository: set CC_WEBROOT to the folder that is served, such as "
                "/public, or CC_BUILD_COMMAND to what makes it"
            )
        if not at_top and not build and webroot.parts[1] + "/" not in tree:
            raise InvalidError(f"CC_WEBROOT={webroot} is not a folder of the repository")
        start = (
            env.get("CC_RUN_COMMAND")
            or f'caddy file-server --listen :$PORT --root "$APP_ROOT{"" if at_top else webroot}"'
        )
        return Plan(
            runtime=self.slug,
            toolchains=("caddy", "node", "bun") if build else ("caddy",),
            build=(Command("CC_BUILD_COMMAND", hook=build),) if build else (),
            start=start,
            env={"XDG_DATA_HOME": "/tmp/caddy", "XDG_CONFIG_HOME": "/tmp/caddy"},
            lock_files=("package-lock.json", "bun.lock", "package.json"),
        )


RUNTIME = Static()
