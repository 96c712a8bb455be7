"""Scala and Java apps that sbt builds, started from the program that `sbt stage` leaves. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes import jvm, jvm_stage
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree


class Sbt:
    slug = "sbt"
    type = "java"
    name = "Scala + sbt"
    variant_id = "75eccbb4-3477-4846-95c5-7471a6bde653"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = jvm.VARIABLES | jvm_stage.VARIABLES

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        return jvm_stage.plan(self.slug, tree, env, kinds=("sbt", "play"))


RUNTIME = Sbt()
