"""How Maven, Gradle and sbt build an app: their commands, and what they are told of this place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from havre.apps.runtimes import jvm
from havre.apps.runtimes.jvm import Build
from havre.apps.runtimes.plan import Command
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

CACHE = "/home/bas/.cache"
JARS = {
    "maven": ("target/quarkus-app/quarkus-run.jar", "target/*.jar", "*/target/*.jar"),
    "gradle": ("build/quarkus-app/quarkus-run.jar", "build/libs/*.jar", "*/build/libs/*.jar"),
    "sbt": ("target/*.jar", "target/scala-*/*.jar"),
}
WARS = {
    "maven": ("target/*.war", "*/target/*.war"),
    "gradle": ("build/libs/*.war", "*/build/libs/*.war"),
    "sbt": ("target/*.war", "target/scala-*/*.war"),
}
_RUNS = re.compile(r"(.*:)?(run|run-.*|java|start|dev|.*Run|test-run)")  # spring-boot:run, bootRun, :web:run, exec:java
_ASKED_JAVA = re.compile(r"<(maven\.compiler\.(?:release|target|source)|java\.version)>\s*(\d+)\s*<")
MAVEN_LOCKS = ("pom.xml",)
GRADLE_LOCKS = ("build.gradle", "build.gradle.kts", "gradle.lockfile", "gradle/wrapper/gradle-wrapper.properties")
SBT_LOCKS = ("build.sbt", "project/plugins.sbt", "project/build.properties")


def of_tree(tree: Tree) -> str:
    """The build tool whose files are there, else nothing."""
    if "pom.xml" in tree:
        return "maven"
    if tree.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        return "gradle"
    return "sbt" if tree.first("build.sbt", "project/build.properties") else ""


def of_tool(tool: str, tree: Tree, env: Mapping[str, str], goal: str) -> Build:
    """The build by `tool`. goal: what it is asked for, as on its command line; empty: what makes a package.

    Raises InvalidError for a tool that there is not, and for files that it would need.
    """
    makers = {"maven": maven, "gradle": gradle, "sbt": sbt}
    if tool not in makers:
        raise InvalidError(f"builds by {tool} are not offered here; offered: {', '.join(makers)}")
    return makers[tool](tree, env, goal)


def maven(tree: Tree, env: Mapping[str, str], goal: str) -> Build:
    """Maven of our own version, whatever wrapper the app has: its settings are the operator's."""
    if "pom.xml" not in tree:
        raise InvalidError(_missing("pom.xml"))
    _check_compiler(tree, goal)
    profiles = [each.strip() for each in env.get("CC_MAVEN_PROFILES", "").split(",") if each.strip()]
    words = _words(goal) or ["-DskipTests", "package"]
    if "spring-boot:run" in words:
        words = ["-DskipTests", *("package" if each == "spring-boot:run" else each for each in words)]
    _check_ends(words, "MAVEN_DEPLOY_GOAL")
    flags = (
        "--batch-mode",
        "--no-transfer-progress",
        *((f"--activate-profiles={','.join(profiles)}",) if profiles else ()),
    )
    told = {"MAVEN_ARGS": f"-Dmaven.repo.local={CACHE}/m2"}
    notes = ("mvnw is left alone: this installation's Maven builds the app",) if "mvnw" in tree else ()
    build = (Command("mvn", ("mvn", *flags, *words)),)
    return Build(build, ("maven",), (), told, MAVEN_LOCKS, notes)


def gradle(tree: Tree, env: Mapping[str, str], goal: str) -> Build:
    """The app's own wrapper where it has one, else Debian's Gradle, which is old."""
    if of_tree(tree) != "gradle":
        raise InvalidError(_missing("build.gradle or build.gradle.kts"))
    instead = {"run": "installDist", "bootRun": "bootJar"}
    words = []
    for word in _words(goal) or ["build", "-x", "test"]:
        project, _, task = word.rpartition(":")
        words.append((f"{project}:" if project or word[:1] == ":" else "") + instead.get(task, task))
    _check_ends(words, "GRADLE_DEPLOY_GOAL")
    has_wrapper = "gradlew" in tree
    program = ("sh", "./gradlew") if has_wrapper else ("gradle",)
    flags = ("--no-daemon", "--console=plain", "--init-script", "/home/bas/.gradle/init.gradle")
    told = {"GRADLE_USER_HOME": f"{CACHE}/gradle"}
    prepare = 'mkdir -p "$HOME/.gradle" && touch "$HOME/.gradle/init.gradle"'
    commands = (
        Command("settings of gradle", ("/bin/sh", "-c", prepare), quiet=True),
        Command("gradle", (*program, *flags, *words)),
    )
    notes = () if has_wrapper else ("there is no gradlew: Debian's Gradle builds the app (4.4.1 in Debian 12)",)
    return Build(commands, (), () if has_wrapper else ("gradle",), told, GRADLE_LOCKS, notes)


def sbt(tree: Tree, env: Mapping[str, str], goal: str) -> Build:
    """The launcher, which fetches the sbt that project/build.properties names."""
    if of_tree(tree) != "sbt":
        raise InvalidError(_missing("build.sbt"))
    words = _words(goal) or ["stage"]
    _check_ends(words, "SBT_DEPLOY_GOAL")
    places = {"boot.directory": "boot", "global.base": "global", "ivy.home": "ivy", "coursier.home": "coursier"}
    flags = [f"-Dsbt.{name}={CACHE}/sbt/{place}" for name, place in places.items()]
    flags += ["-Dsbt.server.autostart=false", "-Dsbt.color=false", "-Dsbt.supershell=false", "-Dsbt.ci=true"]
    told = {"SBT_FLAGS": " ".join(flags), "COURSIER_CACHE": f"{CACHE}/coursier"}
    return Build((Command("sbt", ("sbt", *words)),), ("sbt",), (), told, SBT_LOCKS)


def _words(goal: str) -> list[str]:
    try:
        return shlex.split(goal)
    except ValueError as cause:
        raise InvalidError(f"the goal {goal} cannot be read: {cause}") from cause


def _check_ends(words: list[str], variable: str) -> None:
    """A goal that starts the app never ends, and the build with it."""
    endless = [each for each in words if not each.startswith("-") and _RUNS.fullmatch(each)]
    if endless:
        raise InvalidError(
            f"{endless[0]} would start the app in its build: set {variable} to what makes the package, and "
            "CC_RUN_COMMAND or CC_JAR_PATH to what starts it"
        )


def _check_compiler(tree: Tree, goal: str) -> None:
    """A Java newer than the compiler, before minutes are spent on it; what the goal overrides is not looked at."""
    for name, version in _ASKED_JAVA.findall(tree.texts.get("pom.xml", "")):
        if int(version) > int(jvm.COMPILER) and f"-D{name}" not in goal:
            raise InvalidError(
                f"pom.xml asks for Java {version} ({name}); this installation compiles with Java {jvm.COMPILER}: set "
                f"it to {jvm.COMPILER} (CC_JAVA_VERSION says what the app runs on, which may be newer)"
            )


def _missing(what: str) -> str:
    return f"no {what} at the top of the repository (is the app in a sub-folder? then set APP_FOLDER)"
