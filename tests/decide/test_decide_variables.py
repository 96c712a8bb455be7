"""What the words of a plan's environment stand for, and whose word counts."""

from __future__ import annotations

from pathlib import Path

from havre.apps.runtimes import Plan
from havre.apps.variables import variables
from havre.drivers.toolchains import Toolchain
from tests.room.build_rig import a_deployment, an_app

APP = an_app("jar")
TRUST = Toolchain("trust", "1", Path("/x"), "/opt/havre/trust", "")
GO = Toolchain("go", "1.27", Path("/y"), "/opt/havre/go", "/opt/havre/go/bin")


def told(plan_env: dict[str, str], own: dict[str, str] | None = None, *, kind: str = "production") -> dict[str, str]:
    plan = Plan("jar", (), (), "run", env=plan_env, build_env={"JAVA_HOME": "/jdk", "ONLY": "here"})
    return variables(
        app=APP, deployment=a_deployment(APP, own), plan=plan, toolchains=(TRUST, GO), instance_id="4f02390c-49e3", number=0,
        kind=kind, memory_mib=1024, cpus=2.5,
    )  # fmt: skip


def test_shares_of_memory_and_processors_are_filled_in() -> None:
    found = told({"A": "-Xmx$MIB_60m", "B": "$MIB_5", "C": "$HEAP_MIB", "D": "$CPUS of $APP_ROOT"})
    assert (found["A"], found["B"], found["C"]) == ("-Xmx614m", "51", "768")
    assert found["D"] == f"2 of /home/bas/{APP.id}"


def test_what_an_app_says_itself_is_left_as_it_is() -> None:
    assert told({}, {"A": "$MIB_60 $APP_ROOT"})["A"] == "$MIB_60 $APP_ROOT"


def test_the_environment_of_a_build_is_the_builds_alone() -> None:
    assert "ONLY" not in told({"JAVA_HOME": "/jre"})
    found = told({"JAVA_HOME": "/jre"}, kind="build")
    assert (found["ONLY"], found["JAVA_HOME"]) == ("here", "/jdk")


def test_java_home_is_on_the_path_and_a_toolchain_without_programs_is_not() -> None:
    path = told({"JAVA_HOME": "/jre"})["PATH"].split(":")
    assert path[-5:] == ["/jre/bin", "/opt/havre/go/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    assert "" not in path


def test_the_apps_options_for_java_come_last_and_the_platforms_stay() -> None:
    assert (
        told({"JAVA_TOOL_OPTIONS": "-Xmx1m"}, {"JAVA_TOOL_OPTIONS": "-Xmx2m"})["JAVA_TOOL_OPTIONS"] == "-Xmx1m -Xmx2m"
    )
    assert told({}, {"JAVA_TOOL_OPTIONS": "-Xmx2m"})["JAVA_TOOL_OPTIONS"] == "-Xmx2m"
