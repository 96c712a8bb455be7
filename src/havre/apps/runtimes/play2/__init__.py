"""Play apps (2 and 3), which sbt stages and whose server listens where it is told. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes import jvm, jvm_stage
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree


class Play:
    slug = "play2"
    type = "java"
    name = "Play 2 and 3"
    variant_id = "ea6625a2-3ff6-4662-b724-280fc2f400b9"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = jvm.VARIABLES | jvm_stage.VARIABLES

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        return jvm_stage.plan(self.slug, tree, env, kinds=("play", "sbt"))


RUNTIME = Play()
