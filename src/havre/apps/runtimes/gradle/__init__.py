"""Apps that Gradle builds, started from the jar or the program that it leaves. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes import jvm, jvm_builds, jvm_start
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree


class Gradle:
    slug = "gradle"
    type = "java"
    name = "Java + Gradle"
    variant_id = "5163834d-b343-4006-bfdb-ece9d30fbb51"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = jvm.VARIABLES

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        goal = jvm.goal_of(tree, "gradle", env, "GRADLE_DEPLOY_GOAL")
        build = jvm_builds.gradle(tree, env, goal)
        programs = ("build/install/*/bin/*", "*/build/install/*/bin/*")
        found = jvm_start.find(env, jars=jvm_builds.JARS["gradle"], programs=programs)
        return jvm.plan(self.slug, env, build, found, jvm_start.line(env, jvm_start.EITHER))


RUNTIME = Gradle()
