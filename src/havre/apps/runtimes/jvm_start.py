"""What a build of the Java family leaves to be started: found by its last command, started by the plan's line.

The build writes the path of a jar, or of a program, below `.havre` in the app; the line reads it. So CC_EXTRA_JAVA_ARGS
and CC_JAR_ARGS are a run's alone. Their words are the shell's, quotes included, as on a command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from havre.apps.runtimes.plan import Command
from havre.base.errors import InvalidError

JAR = 'eval "exec java ${CC_EXTRA_JAVA_ARGS:-} -jar \\"\\$(cat \\"\\$APP_HOME/.havre/jar\\")\\" ${CC_JAR_ARGS:-}"'


_STARTS = """
starts() { mkdir -p "$APP_HOME/.havre" && printf %s "$2" > "$APP_HOME/.havre/$1" && echo "starts $2"; }
"""
_GIVEN = """
[ -f "$1" ] || { echo "CC_JAR_PATH=$1: there is no such file after the build"; exit 1; }
starts jar "$1"
"""
_JARS = """
found= number=0
for each do
  case "${each##*/}" in original-*|*-sources.jar|*-javadoc.jar|*-tests.jar|*-plain.jar) continue ;; esac
  [ -f "$each" ] && unzip -p "$each" META-INF/MANIFEST.MF 2> /dev/null | grep -q '^Main-Class:' || continue
  found=$each number=$((number + 1))
  echo "can be started: $each"
done
if [ "$number" = 1 ]; then starts jar "$found"; exit; fi
if [ "$number" -gt 1 ]; then echo "more than one jar can be started: set CC_JAR_PATH to the one"; exit 1; fi
"""
_PROGRAMS = """
for each do
  case "$each" in *.bat) continue ;; esac
  [ -f "$each" ] && [ -x "$each" ] || continue
  starts program "$PWD/$each"
  exit
done
"""
_NOTHING = 'echo "nothing to start was found: looked for $*; $HINT"\nexit 1\n'
JAR_HINT = "set CC_JAR_PATH to the jar, or CC_RUN_COMMAND to the command that listens on 0.0.0.0:8080"

GIVEN = 'eval "exec java ${CC_EXTRA_JAVA_ARGS:-} -jar \\"\\$HAVRE_JAR\\" ${CC_JAR_ARGS:-}"'


def program(flags: str = "") -> str:
    """The line that starts the program that was found: a script of sbt's or Gradle's, which reads JAVA_OPTS."""
    options = 'export JAVA_OPTS="${JAVA_OPTS:-} ${CC_EXTRA_JAVA_ARGS:-}"; '
    return options + f'eval "exec \\"\\$(cat \\"\\$APP_HOME/.havre/program\\")\\" {flags} ${{CC_JAR_ARGS:-}}"'


EITHER = f'if [ -f "$APP_HOME/.havre/jar" ]; then {JAR}; else {program()}; fi'


def jar_path(env: Mapping[str, str]) -> str:
    """CC_JAR_PATH below the app's folder. Raises InvalidError when it leads outside."""
    path = env.get("CC_JAR_PATH", "").strip().lstrip("/")
    if ".." in path.split("/"):
        raise InvalidError(f"CC_JAR_PATH={path} leads outside of the app")
    return path


def find(
    env: Mapping[str, str], *, jars: Sequence[str] = (), programs: Sequence[str] = (), hint: str = JAR_HINT
) -> tuple[Command, ...]:
    """What finds it: CC_JAR_PATH, else the one jar of the patterns `jars` that has a main class, else the first of
    `programs`. Nothing when CC_RUN_COMMAND says how the app starts. hint: what to do when nothing is found."""
    if env.get("CC_RUN_COMMAND", "").strip():
        return ()
    given = jar_path(env)
    if given and jars:
        return (Command("what to start", ("/bin/sh", "-c", _STARTS + _GIVEN, "start", given), quiet=True),)
    parts = [_STARTS, f"HINT='{hint}'\n"]
    parts += [f"set -- {' '.join(jars)}\n", _JARS] if jars else []
    parts += [f"set -- {' '.join(programs)}\n", _PROGRAMS] if programs else []
    parts.append(f"set -f; set -- {' '.join((*jars, *programs))}\n{_NOTHING}")
    return (Command("what to start", ("/bin/sh", "-c", "".join(parts)), quiet=True),)


def line(env: Mapping[str, str], otherwise: str) -> str:
    """CC_RUN_COMMAND, else one of the lines above."""
    return env.get("CC_RUN_COMMAND", "").strip() or otherwise
