"""The Java family: what is built and started for which files and variables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree, jvm, read_tree
from havre.base.errors import InvalidError


def tree(*names: str, **texts: Any) -> Tree:
    """Keyword `pom_xml` is the file pom.xml; `clevercloud__war_json` is clevercloud/war.json."""
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    files = {name: text if isinstance(text, str) else json.dumps(text) for name, text in named.items()}
    return Tree(frozenset((*names, *(name for name in files if "/" not in name))), files)


def plan(slug: str, seen: Tree, **env: str) -> Plan:
    return runtimes.detect(slug, seen, env, memory_mib=1024)


def words(found: Plan, name: str) -> tuple[str, ...]:
    return next(each.argv for each in found.build if each.name == name)


def names(found: Plan) -> list[str]:
    return [each.name for each in found.build]


POM = tree(pom_xml="<project/>")


@pytest.mark.parametrize("slug", ["jar", "war", "maven", "gradle", "sbt", "play2"])
def test_every_kind_is_in_the_catalogue_with_the_contracts_variant(slug: str) -> None:
    known = {
        "gradle": "5163834d-b343-4006-bfdb-ece9d30fbb51", "jar": "879bf2c4-54b2-4b84-83f6-704d90c08062",
        "maven": "af524b51-b5a8-4b7f-bd60-d80fa3925b34", "war": "05d5db48-b35d-4bf4-b41b-3d6c25f48b69",
        "sbt": "75eccbb4-3477-4846-95c5-7471a6bde653", "play2": "ea6625a2-3ff6-4662-b724-280fc2f400b9",
    }  # fmt: skip
    found = runtimes.of(slug)
    assert (found.type, found.slug, found.variant_id) == ("java", slug, known[slug])


def test_an_app_runs_on_debians_java_unless_another_is_asked_for() -> None:
    usual, asked = plan("maven", POM), plan("maven", POM, CC_JAVA_VERSION="21")
    assert usual.toolchains == ("trust",)
    assert usual.packages == ("openjdk-17-jre-headless",)
    assert usual.env["JAVA_HOME"] == jvm.HOME
    assert asked.toolchains == ("trust", "jre@21")
    assert asked.packages == ()
    assert asked.env["JAVA_HOME"] == "/opt/havre/jre"
    for each in (usual, asked):
        assert each.build_env["JAVA_HOME"] == jvm.HOME
        assert "openjdk-17-jdk-headless" in each.build_packages
        assert each.build_toolchains == ("maven",)


@pytest.mark.parametrize("version", ["8", "7", "24", "graalvm-ce"])
def test_a_java_that_cannot_be_had_is_refused_with_those_that_can(version: str) -> None:
    with pytest.raises(InvalidError, match=r"offered: 11, 17, 21, 25"):
        plan("maven", POM, CC_JAVA_VERSION=version)


def test_memory_is_told_to_the_machine_and_the_cap_of_metaspace_can_be_lifted() -> None:
    capped = plan("maven", POM).env["JAVA_TOOL_OPTIONS"]
    free = plan("maven", POM, CC_DISABLE_MAX_METASPACE="true").env["JAVA_TOOL_OPTIONS"]
    assert "-Xmx$MIB_60m" in capped and "-XX:MaxMetaspaceSize=$MIB_25m" in capped
    assert "-Xmx$MIB_60m" in free and "Metaspace" not in free
    assert "Metaspace" not in plan("maven", POM).build_env["JAVA_TOOL_OPTIONS"]


def test_maven_packages_without_tests_and_then_looks_for_the_jar() -> None:
    found = plan("maven", POM)
    assert names(found) == ["mvn", "what to start"]
    assert words(found, "mvn")[-2:] == ("-DskipTests", "package")
    assert found.start.startswith("eval ") and "-jar" in found.start


@pytest.mark.parametrize(
    ("seen", "env", "last"),
    [
        (POM, {"MAVEN_DEPLOY_GOAL": "clean -Dx='a b' install"}, ("clean", "-Dx=a b", "install")),
        (POM, {"MAVEN_DEPLOY_GOAL": "spring-boot:run"}, ("-DskipTests", "package")),
        (POM, {"CC_MAVEN_PROFILES": "fast, loud"}, ("--activate-profiles=fast,loud", "-DskipTests", "package")),
        (tree(pom_xml="", clevercloud__maven_json={"deploy": {"goal": "verify"}}), {}, ("verify",)),
        (tree(pom_xml="", clevercloud__maven_json={"build": {"goal": "verify"}}), {}, ("verify",)),
        (
            tree(pom_xml="", clevercloud__maven_json={"deploy": {"goal": "verify"}}),
            {"MAVEN_DEPLOY_GOAL": "install"},
            ("install",),
        ),
    ],
)
def test_the_goal_is_the_variables_then_the_deploy_files(
    seen: Tree, env: Mapping[str, str], last: tuple[str, ...]
) -> None:
    assert words(plan("maven", seen, **env), "mvn")[-len(last) :] == last


@pytest.mark.parametrize("goal", ["jetty:run", "exec:java", "package tomcat7:run", "quarkus:dev"])
def test_a_goal_that_would_never_end_is_refused_with_what_to_do(goal: str) -> None:
    with pytest.raises(InvalidError, match="CC_RUN_COMMAND or CC_JAR_PATH"):
        plan("maven", POM, MAVEN_DEPLOY_GOAL=goal)


def test_a_pom_that_asks_for_a_newer_java_than_the_compiler_is_refused_at_once() -> None:
    seen = tree(pom_xml="<properties><java.version>21</java.version></properties>")
    with pytest.raises(InvalidError, match=r"compiles with Java 17.*CC_JAVA_VERSION"):
        plan("maven", seen)
    assert plan("maven", seen, MAVEN_DEPLOY_GOAL="package -Djava.version=17").build
    assert plan("maven", tree(pom_xml="<maven.compiler.release>11</maven.compiler.release>")).build


def test_an_unfinished_quote_in_a_goal_is_said() -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        plan("maven", POM, MAVEN_DEPLOY_GOAL="package -Dx='a")


def test_gradle_is_the_apps_wrapper_else_debians() -> None:
    own, debians = plan("gradle", tree("build.gradle", "gradlew")), plan("gradle", tree("build.gradle"))
    assert words(own, "gradle")[:2] == ("sh", "./gradlew")
    assert "gradle" not in own.build_packages
    assert words(debians, "gradle")[0] == "gradle"
    assert "gradle" in debians.build_packages
    assert words(debians, "gradle")[-3:] == ("build", "-x", "test")


@pytest.mark.parametrize(
    ("goal", "task"),
    [("run", "installDist"), ("bootRun", "bootJar"), (":web:run", ":web:installDist"), ("shadowJar", "shadowJar")],
)
def test_a_task_that_starts_the_app_stands_for_the_one_that_makes_it(goal: str, task: str) -> None:
    seen = tree("build.gradle.kts")
    assert words(plan("gradle", seen, GRADLE_DEPLOY_GOAL=goal), "gradle")[-1] == task


def test_sbt_stages_and_play_is_told_where_to_listen() -> None:
    seen = tree("build.sbt")
    for slug in ("sbt", "play2"):
        found = plan(slug, seen)
        assert words(found, "sbt") == ("sbt", "stage")
        assert "-Dhttp.port=8080" in found.start
        assert found.build_toolchains == ("sbt",)
    assert words(plan("sbt", seen, SBT_DEPLOY_GOAL="test stage"), "sbt") == ("sbt", "test", "stage")


def test_a_jar_that_sbt_assembles_is_started_where_it_is_named() -> None:
    found = plan("sbt", tree("build.sbt"), SBT_DEPLOY_GOAL="assembly", CC_JAR_PATH="target/scala-2.13/app.jar")
    assert words(found, "what to start")[-1] == "target/scala-2.13/app.jar"
    assert "-jar" in found.start


def test_the_staged_program_is_looked_for_where_the_variables_say() -> None:
    found = plan("sbt", tree("build.sbt"), CC_SBT_TARGET_DIR="web", CC_SBT_TARGET_BIN="front")
    script = words(found, "what to start")[2]
    assert "web/target/universal/stage/bin/front" in script and "web/universal/stage/bin/front" in script
    with pytest.raises(InvalidError, match="CC_SBT_TARGET_DIR"):
        plan("sbt", tree("build.sbt"), CC_SBT_TARGET_DIR="../x")


@pytest.mark.parametrize(
    ("slug", "looked_for"), [("maven", "pom.xml"), ("gradle", "build.gradle"), ("sbt", "build.sbt")]
)
def test_what_is_missing_is_named(slug: str, looked_for: str) -> None:
    with pytest.raises(InvalidError, match=looked_for):
        plan(slug, tree("README.md"))


def test_a_committed_jar_is_started_without_a_build() -> None:
    for seen, env in (
        (tree("app.jar"), {}),
        (tree("lib/", "pom.xml"), {"CC_JAR_PATH": "lib/app.jar"}),
        (tree("app.jar", "b.jar"), {"CC_JAR_PATH": "/app.jar"}),
        (tree("app.jar", "b.jar", clevercloud__jar_json={"deploy": {"jarName": "app.jar"}}), {}),
    ):
        found = plan("jar", seen, **env)
        assert found.build == ()
        assert found.env["HAVRE_JAR"].endswith("app.jar")
        assert "$HAVRE_JAR" in found.start


def test_a_jar_is_built_when_a_file_says_so_or_when_it_is_not_there() -> None:
    told = tree("app.jar", pom_xml="", clevercloud__jar_json={"build": {"type": "maven", "goal": "verify"}})
    assert words(plan("jar", told), "mvn")[-1] == "verify"
    assert names(plan("jar", tree("build.sbt"))) == ["sbt", "what to start"]
    assert "gradle" in names(plan("jar", tree("build.gradle"), CC_JAR_PATH="build/libs/app.jar"))
    with pytest.raises(InvalidError, match="ant"):
        plan("jar", tree(clevercloud__jar_json={"build": {"type": "ant"}}))


def test_of_two_jars_and_nothing_else_none_is_guessed() -> None:
    for seen in (tree("a.jar", "b.jar"), tree("README.md")):
        with pytest.raises(InvalidError, match="CC_JAR_PATH"):
            plan("jar", seen)
    with pytest.raises(InvalidError, match="outside"):
        plan("jar", tree("a.jar"), CC_JAR_PATH="../a.jar")


def test_arguments_are_read_when_the_app_starts_and_stand_in_no_plan() -> None:
    found = plan("jar", tree("app.jar"), CC_JAR_ARGS="--password s3cr3t", CC_EXTRA_JAVA_ARGS="-Dtoken=s3cr3t")
    assert "s3cr3t" not in repr(found)
    assert "${CC_JAR_ARGS:-}" in found.start and "${CC_EXTRA_JAVA_ARGS:-}" in found.start


def test_the_command_to_run_stands_above_everything() -> None:
    for slug, seen in (("maven", POM), ("gradle", tree("build.gradle")), ("sbt", tree("build.sbt")), ("jar", tree())):
        found = plan(slug, seen, CC_RUN_COMMAND="java -cp x Main")
        assert found.start == "java -cp x Main"
        assert "what to start" not in names(found)


@pytest.mark.parametrize(
    ("container", "toolchain"),
    [("", "tomcat@10"), ("TOMCAT8", "tomcat@9"), ("tomcat9", "tomcat@9"), ("TOMCAT10", "tomcat@10"), ("TOMCAT11", "tomcat@11")],
)  # fmt: skip
def test_the_container_of_an_archive_is_a_tomcat(container: str, toolchain: str) -> None:
    found = plan("war", tree("app.war", clevercloud__war_json={"deploy": {"container": container}}))
    assert toolchain in found.toolchains


def test_another_container_is_refused() -> None:
    with pytest.raises(InvalidError, match="WILDFLY9 is not offered"):
        plan("war", tree("app.war", clevercloud__war_json={"deploy": {"container": "WILDFLY9"}}))


def test_archives_are_served_under_their_contexts() -> None:
    deploy = {"war": [{"file": "/target/a.war", "context": "/"}, {"file": "target/a.war", "context": "/x/y/"}]}
    seen = tree(pom_xml="", clevercloud__war_json={"build": {"type": "maven", "goal": "package"}, "deploy": deploy})
    found = plan("war", seen)
    assert words(found, "webapps") == ("unpack-wars", "ROOT=target/a.war", "x#y=target/a.war")
    assert names(found) == ["mvn", "webapps"]


def test_an_archive_without_a_deploy_file_is_the_committed_one_or_the_built_one() -> None:
    assert words(plan("war", tree("shop.war")), "webapps") == ("unpack-wars", "--find", "shop.war")
    assert "target/*.war" in words(plan("war", POM), "webapps")
    assert "build/libs/*.war" in words(plan("war", tree("build.gradle")), "webapps")
    with pytest.raises(InvalidError, match=r"no \.war"):
        plan("war", tree("README.md"))


@pytest.mark.parametrize(
    "war",
    [[{"context": "/"}], [{"file": "../a.war"}], [{"file": "a.war", "context": "/a b"}],
     [{"file": "a.war", "context": "/x"}, {"file": "b.war", "context": "/x/"}]],
)  # fmt: skip
def test_an_archive_that_cannot_be_served_is_refused(war: object) -> None:
    with pytest.raises(InvalidError, match=r"war\.json"):
        plan("war", tree("a.war", "b.war", clevercloud__war_json={"deploy": {"war": war}}))


def test_deploy_files_are_read_below_and_links_are_not(tmp_path: Path) -> None:
    (tmp_path / "clevercloud").mkdir()
    (tmp_path / "clevercloud" / "maven.json").write_text('{"deploy": {"goal": "verify"}}')
    (tmp_path / "clevercloud" / "war.json").symlink_to("/etc/passwd")
    (tmp_path / "pom.xml").write_text("<project/>")
    seen = read_tree(tmp_path)
    assert words(plan("maven", seen), "mvn")[-1] == "verify"
    assert "clevercloud/war.json" not in seen


def test_a_linked_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "maven.json").write_text("{}")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "clevercloud").symlink_to(tmp_path / "elsewhere")
    assert read_tree(tmp_path / "app").texts == {}


def test_variables_that_are_honoured_are_not_named_as_unknown() -> None:
    found = plan("jar", tree("a.jar"), CC_JAR_ARGS="x", CC_JAVA_VERSION="17", CC_NODE_VERSION="22")
    assert found.notes[-1] == "not known, and without effect: CC_NODE_VERSION"
