"""What sbt stages (`sbt stage`, of sbt-native-packager): libraries and a program that starts the app."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes import jvm, jvm_builds, jvm_start
from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

VARIABLES = frozenset({"CC_SBT_TARGET_BIN", "CC_SBT_TARGET_DIR"})
# Play's server; programs that do not know them leave them alone. The file of its pid would outlive a crash.
PLAY_FLAGS = "-Dhttp.port=8080 -Dhttp.address=0.0.0.0 -Dplay.server.pidfile.path=/dev/null"
HINT = "does the build stage (sbt-native-packager)? Else set CC_RUN_COMMAND, or CC_SBT_TARGET_DIR to where target is"


def plan(runtime: str, tree: Tree, env: Mapping[str, str], *, kinds: tuple[str, ...]) -> Plan:
    """kinds: of deploy files, the first that says something counts."""
    asked = (jvm.goal_of(tree, kind, env, "SBT_DEPLOY_GOAL") for kind in kinds)
    build = jvm_builds.sbt(tree, env, next((goal for goal in asked if goal), ""))
    if jvm_start.jar_path(env):  # of sbt-assembly, say
        found = jvm_start.find(env, jars=jvm_builds.JARS["sbt"])
        return jvm.plan(runtime, env, build, found, jvm_start.line(env, jvm_start.JAR))
    folder = _inside("CC_SBT_TARGET_DIR", env.get("CC_SBT_TARGET_DIR", "") or ".")
    name = _inside("CC_SBT_TARGET_BIN", env.get("CC_SBT_TARGET_BIN", "") or "*")
    programs = [f"{folder}/target/universal/stage/bin/{name}", f"{folder}/universal/stage/bin/{name}"]
    if folder == "." and name == "*":
        programs.append("*/target/universal/stage/bin/*")
    found = jvm_start.find(env, programs=programs, hint=HINT)
    return jvm.plan(runtime, env, build, found, jvm_start.line(env, jvm_start.program(PLAY_FLAGS)))


def _inside(variable: str, value: str) -> str:
    path = PurePosixPath(value.strip().lstrip("/") or ".")
    if ".." in path.parts or set(str(path)) & set(" '\"$`;&|<>()\\\n"):
        raise InvalidError(f"{variable}={value} is not a plain path inside the app")
    return str(path)
