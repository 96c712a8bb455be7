"""Static files served by Apache, with `.htaccess`. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.webroot import webroot


class StaticApache:
    slug = "static-apache"
    type = "php"
    name = "Static (Apache)"
    variant_id = "3b8cc37b-b874-4169-b64e-7eace63dfb7b"
    packages: tuple[str, ...] = ("apache2-bin", "media-types")
    programs: tuple[str, ...] = ("apache2",)
    variables = frozenset({"CC_WEBROOT", "CC_APACHE_HEADERS_SIZE"})

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        return Plan(
            runtime=self.slug,
            toolchains=("apache",),
            build=(),
            start=env.get("CC_RUN_COMMAND", "").strip() or "serve-apache files",
            env={"APACHE_ROOT": webroot(tree, env), "HAVRE_HEAP_MIB": "$HEAP_MIB"},
            packages=self.packages,
        )


RUNTIME = StaticApache()
