"""A jar that starts by itself, in the repository or made by a build from it. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes import jvm, jvm_builds, jvm_start
from havre.apps.runtimes.jvm import Build
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError


class Jar:
    slug = "jar"
    type = "java"
    name = "Java + JAR"
    variant_id = "879bf2c4-54b2-4b84-83f6-704d90c08062"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = jvm.VARIABLES | {"CC_MAVEN_PROFILES"}

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        env = self._with_jar(tree, env)
        told = jvm.deploy_file(tree, "jar").get("build")
        tool = str(told.get("type", "")) if isinstance(told, dict) else ""
        path = jvm_start.jar_path(env)
        if not tool and not self._is_committed(tree, path):
            tool = jvm_builds.of_tree(tree)
        if tool:
            build = jvm_builds.of_tool(tool, tree, env, jvm.goal_of(tree, "jar", env, ""))
            finish = jvm_start.find(env, jars=jvm_builds.JARS.get(tool, ()))
            return jvm.plan(self.slug, env, build, finish, jvm_start.line(env, jvm_start.JAR))
        if not path and not env.get("CC_RUN_COMMAND", "").strip():
            path = self._only_jar(tree)
        start = jvm_start.line(env, jvm_start.GIVEN)
        return jvm.plan(self.slug, env, Build(), (), start, own_env={"HAVRE_JAR": path})

    def _with_jar(self, tree: Tree, env: Mapping[str, str]) -> Mapping[str, str]:
        """The deploy file's `jarName` stands for CC_JAR_PATH where that is not set."""
        told = jvm.deploy_file(tree, "jar").get("deploy")
        named = told.get("jarName") if isinstance(told, dict) else None
        return {"CC_JAR_PATH": named, **env} if isinstance(named, str) and named else env

    def _is_committed(self, tree: Tree, path: str) -> bool:
        first, is_below, _ = path.partition("/")
        return f"{first}/" in tree if is_below else path in tree if path else bool(_jars(tree))

    def _only_jar(self, tree: Tree) -> str:
        jars = _jars(tree)
        if len(jars) != 1:
            raise InvalidError(
                "set CC_JAR_PATH to the jar of the repository that is started, such as lib/app.jar, or "
                'clevercloud/jar.json to what builds it: {"build": {"type": "maven", "goal": "package"}}'
            )
        return jars[0]


def _jars(tree: Tree) -> list[str]:
    return sorted(name for name in tree.names if name.endswith(".jar"))


RUNTIME = Jar()
