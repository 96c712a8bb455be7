"""What a build of the Java family leaves is found by its last command and started by its line, in a real shell."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from havre.apps.runtimes import jvm_builds, jvm_start

JAVA = '#!/bin/sh\nfor word in java "$@"; do echo "[$word]"; done\n'
UNZIP = '#!/bin/sh\nexec python3 -c "import sys, zipfile; print(zipfile.ZipFile(sys.argv[2]).read(sys.argv[3]).decode())" "$@"\n'
LAID = ("original-app.jar", "app-sources.jar", "app-plain.jar", "library.jar")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app's folder, with a `java` beside it that shows its words."""
    (tmp_path / "bin").mkdir()
    for name, text in (("java", JAVA), ("unzip", UNZIP)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    folder = tmp_path / "an app"
    (folder / "target").mkdir(parents=True)
    return folder


def jar(file: Path, *, is_runnable: bool = True) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n" + "Main-Class: Hello\n" * is_runnable)


def run(app: Path, line: str, **env: str) -> tuple[int, str]:
    env |= {"PATH": f"{app.parent / 'bin'}:{os.environ['PATH']}", "APP_HOME": str(app)}
    done = subprocess.run(["/bin/sh", "-c", line], cwd=app, env=env, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def find(app: Path, env: dict[str, str] | None = None, **where: tuple[str, ...]) -> tuple[int, str]:
    (command,) = jvm_start.find(env or {}, **(where or {"jars": jvm_builds.JARS["maven"]}))  # type: ignore[arg-type]
    done = subprocess.run(
        command.argv, cwd=app, capture_output=True, text=True, timeout=30,
        env={"PATH": f"{app.parent / 'bin'}:{os.environ['PATH']}", "APP_HOME": str(app)},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_one_jar_with_a_main_class_is_started_with_its_arguments(app: Path) -> None:
    for name in LAID:
        jar(app / "target" / name, is_runnable=name != "library.jar")
    jar(app / "target" / "my app.jar")
    assert find(app) == (0, "can be started: target/my app.jar\nstarts target/my app.jar\n")
    code, said = run(
        app, jvm_start.JAR, CC_EXTRA_JAVA_ARGS="-Da='b c' -Xmx9m", CC_JAR_ARGS='one "two  three" $APP_HOME'
    )
    assert (code, said.splitlines()) == (
        0, ["[java]", "[-Da=b c]", "[-Xmx9m]", "[-jar]", "[target/my app.jar]", "[one]", "[two  three]", f"[{str(app).split()[0]}]", "[app]"]
    )  # fmt: skip


def test_without_arguments_there_are_none(app: Path) -> None:
    jar(app / "target" / "app.jar")
    find(app)
    assert run(app, jvm_start.JAR)[1].splitlines() == ["[java]", "[-jar]", "[target/app.jar]"]


def test_of_two_jars_none_is_guessed(app: Path) -> None:
    jar(app / "target" / "a.jar")
    jar(app / "target" / "b.jar")
    code, said = find(app)
    assert code == 1 and said.endswith("set CC_JAR_PATH to the one\n")
    assert find(app, {"CC_JAR_PATH": "/target/b.jar"}) == (0, "starts target/b.jar\n")


def test_where_nothing_can_be_started_it_says_what_was_looked_for(app: Path) -> None:
    jar(app / "target" / "library.jar", is_runnable=False)
    code, said = find(app)
    assert code == 1 and "target/*.jar" in said and "CC_JAR_PATH" in said
    code, said = find(app, {"CC_JAR_PATH": "target/app.jar"})
    assert (code, said) == (1, "CC_JAR_PATH=target/app.jar: there is no such file after the build\n")


def test_a_program_is_taken_where_there_is_no_jar_and_told_its_flags(app: Path) -> None:
    bin = app / "build" / "install" / "shop" / "bin"
    bin.mkdir(parents=True)
    (bin / "shop.bat").write_text("")
    (bin / "shop.bat").chmod(0o755)
    (bin / "shop").write_text(JAVA.replace("java", "shop") + 'echo "[$JAVA_OPTS]"\n')
    (bin / "shop").chmod(0o755)
    where = {"jars": jvm_builds.JARS["gradle"], "programs": ("build/install/*/bin/*",)}
    assert find(app, **where) == (0, f"starts {bin / 'shop'}\n")
    assert run(app, jvm_start.EITHER, CC_JAR_ARGS="a 'b c'")[1].splitlines() == ["[shop]", "[a]", "[b c]", "[ ]"]
    assert run(app, jvm_start.program("-Dx=1"), CC_EXTRA_JAVA_ARGS="-Xss1m")[1].splitlines() == [
        "[shop]",
        "[-Dx=1]",
        "[ -Xss1m]",
    ]


def test_a_committed_jar_is_named_by_the_plan(app: Path) -> None:
    assert run(app, jvm_start.GIVEN, HAVRE_JAR="lib/my app.jar")[1].splitlines()[2] == "[lib/my app.jar]"
