"""Which files of a build are kept: CC_OVERRIDE_BUILDCACHE and CC_IGNORE_FROM_BUILDCACHE (colon-separated paths).

The release that later deployments of the commit use again is what is left; done inside the build's sandbox. `.havre`,
where a build writes down what it found to start, is always kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from havre.apps.runtimes.plan import Command
from havre.base.errors import InvalidError

KEEP_ONLY = """
cd "$APP_HOME" && keep=.havre-keep && mkdir "$keep" || exit 1
for path do
  [ -e "$path" ] || [ -L "$path" ] || { echo "CC_OVERRIDE_BUILDCACHE: there is no $path"; exit 1; }
  mkdir -p "$keep/$(dirname "$path")" && mv "$path" "$keep/$path" || exit 1
done
find . -mindepth 1 -maxdepth 1 ! -name "$keep" ! -name .havre -exec rm -rf -- {} + &&
find "$keep" -mindepth 1 -maxdepth 1 -exec mv -- {} . ';' && rmdir "$keep"
"""


def archive_commands(env: Mapping[str, str], *, kept: tuple[str, ...] = ()) -> tuple[Command, ...]:
    """What leaves the kept files, none when nothing is asked. Raises InvalidError for a path that leads outside.

    kept: what the plan keeps of the app's folder when the variable says nothing.
    """
    inside = PurePosixPath(env.get("APP_FOLDER", "").strip("/"))
    kept = paths_of(env, "CC_OVERRIDE_BUILDCACHE") or tuple(f"./{inside / each}" for each in kept)
    ignored = paths_of(env, "CC_IGNORE_FROM_BUILDCACHE") or paths_of(env, "IGNORE_FROM_BUILDCACHE")
    commands: tuple[Command, ...] = ()
    if kept:
        name = f"keep only {' '.join(kept)}"
        commands = (Command(name, ("/bin/sh", "-c", KEEP_ONLY, "keep", *kept), quiet=True),)
    if ignored:
        name = f"leave out {' '.join(ignored)}"
        script = 'cd "$APP_HOME" && rm -rf -- "$@"'
        commands = (*commands, Command(name, ("/bin/sh", "-c", script, "leave", *ignored), quiet=True))
    return commands


def paths_of(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The paths of a variable, separated by colons, each as `./…`."""
    found = []
    for text in env.get(name, "").split(":"):
        path = PurePosixPath(text.strip().lstrip("/"))
        if not path.parts:
            continue
        if ".." in path.parts:
            raise InvalidError(f"{name}: {text} leads outside of the app")
        found.append("./" + str(path))
    return tuple(found)
