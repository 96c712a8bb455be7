"""Apps that Maven builds, started from the jar that it leaves. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes import jvm, jvm_builds, jvm_start
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree


class Maven:
    slug = "maven"
    type = "java"
    name = "Java + Maven"
    variant_id = "af524b51-b5a8-4b7f-bd60-d80fa3925b34"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = jvm.VARIABLES | {"CC_MAVEN_PROFILES"}

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        goal = jvm.goal_of(tree, "maven", env, "MAVEN_DEPLOY_GOAL")
        build = jvm_builds.maven(tree, env, goal)
        found = jvm_start.find(env, jars=jvm_builds.JARS["maven"])
        return jvm.plan(self.slug, env, build, found, jvm_start.line(env, jvm_start.JAR))


RUNTIME = Maven()
