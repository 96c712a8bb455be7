"""Web archives, served by Tomcat; in the repository, or built from it. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from havre.apps.runtimes import jvm, jvm_builds, jvm_start
from havre.apps.runtimes.jvm import Build
from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

DEFAULT = "10"
# what the deploy file calls a container -> the Tomcat that serves it; from 10 on they speak Jakarta EE, before Java EE
CONTAINERS = {f"TOMCAT{number}": "9" for number in range(4, 10)} | {"TOMCAT10": "10", "TOMCAT11": "11"}
BASE = "$APP_HOME/.havre/tomcat"
OPENS = ("java.base/java.lang", "java.base/java.io", "java.base/java.util", "java.base/java.util.concurrent",
         "java.base/java.lang.reflect", "java.base/java.net", "java.rmi/sun.rmi.transport")  # fmt: skip
_CONTEXT = re.compile(r"/?|(/[A-Za-z0-9._~-]+)+/?")


class War:
    slug = "war"
    type = "java"
    name = "Java + WAR"
    variant_id = "05d5db48-b35d-4bf4-b41b-3d6c25f48b69"
    packages: tuple[str, ...] = jvm.PACKAGES
    programs: tuple[str, ...] = jvm.PROGRAMS
    variables = (jvm.VARIABLES - {"CC_JAR_PATH", "CC_JAR_ARGS"}) | {"CC_MAVEN_PROFILES"}

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        told = jvm.deploy_file(tree, "war")
        tool = _text(_table(told, "build"), "type")
        wars = sorted(name for name in tree.names if name.endswith(".war"))
        named = _named(_table(told, "deploy"))
        if not tool and not wars and not _are_committed(tree, named.values()):
            tool = jvm_builds.of_tree(tree)
            if not tool:
                raise InvalidError(
                    "no .war at the top of the repository and no pom.xml, build.gradle or build.sbt that makes one "
                    "(is the app in a sub-folder? then set APP_FOLDER)"
                )
        build = jvm_builds.of_tool(tool, tree, env, jvm.goal_of(tree, "war", env, "")) if tool else Build()
        patterns = jvm_builds.WARS.get(tool, ()) if tool else wars
        words = [f"{context}={file}" for context, file in named.items()]
        unpack = Command("webapps", ("unpack-wars", *(words or ("--find", *patterns))))
        major = _container(_text(_table(told, "deploy"), "container"))
        return jvm.plan(
            self.slug,
            env,
            build,
            (unpack,),
            jvm_start.line(env, _start_line()),
            toolchains=(f"tomcat@{major}", "catalina"),
            own_env={"CATALINA_HOME": "/opt/havre/tomcat"},
            notes=(f"served by Tomcat {major}",),
        )


def _start_line() -> str:
    flags = " ".join(f"--add-opens={each}=ALL-UNNAMED" for each in OPENS)
    logging = "org.apache.juli.ClassLoaderLogManager"
    flags += f" -Djava.util.logging.manager={logging} -Djava.io.tmpdir=/tmp -Dcatalina.home=$CATALINA_HOME"
    places = f'-Djava.util.logging.config.file=\\"{BASE}/conf/logging.properties\\" -Dcatalina.base=\\"{BASE}\\"'
    programs = "$CATALINA_HOME/bin/bootstrap.jar:$CATALINA_HOME/bin/tomcat-juli.jar"
    started = "org.apache.catalina.startup.Bootstrap start"
    return f'eval "exec java {flags} {places} ${{CC_EXTRA_JAVA_ARGS:-}} -cp {programs} {started}"'


def _container(name: str) -> str:
    """Raises InvalidError for a container that is not Tomcat."""
    if not name:
        return DEFAULT
    if name.upper() not in CONTAINERS:
        offered = ", ".join(CONTAINERS)
        raise InvalidError(f"clevercloud/war.json: the container {name} is not offered here; offered: {offered}")
    return CONTAINERS[name.upper()]


def _named(deploy: Mapping[str, Any]) -> dict[str, str]:
    """Context -> file of the archives that the deploy file names. Raises InvalidError for what cannot be one."""
    found: dict[str, str] = {}
    for each in deploy.get("war") or ():
        file, context = _text(each, "file").lstrip("/"), _text(each, "context") or "/"
        if not file or ".." in file.split("/") or "=" in file:
            raise InvalidError("clevercloud/war.json: each of deploy.war has a file inside the repository")
        if not _CONTEXT.fullmatch(context):
            raise InvalidError(f"clevercloud/war.json: {context} is not a context, such as / or /shop")
        name = context.strip("/").replace("/", "#") or "ROOT"
        if name in found:
            raise InvalidError(f"clevercloud/war.json: two archives have the context {context}")
        found[name] = file
    return found


def _are_committed(tree: Tree, files: Iterable[str]) -> bool:
    firsts = [file.partition("/") for file in files]
    return bool(firsts) and all((f"{first}/" if below else first) in tree for first, below, _ in firsts)


def _table(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def _text(table: Any, name: str) -> str:
    found = table.get(name) if isinstance(table, dict) else None
    return found.strip() if isinstance(found, str) else ""


RUNTIME = War()
