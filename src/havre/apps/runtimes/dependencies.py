"""CC_CACHE_DEPENDENCIES: installed dependencies that the next build of the app begins with.

Kept in the app's own cache, for the toolchains they were made with; copied, never shared with a release, so that a
build changes no version that serves. Done inside the build's sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes.archive import paths_of
from havre.apps.runtimes.plan import Command, Plan, is_true

KEPT = "$HOME/.cache/havre-dependencies"
TOOLS = "HAVRE_TOOLS"  # the toolchains of the build, by name and version
RESTORE = f"""
kept={KEPT}
[ "$(cat "$kept/tools" 2>/dev/null)" = "${TOOLS}" ] || exit 0
for path do
  [ -e "$kept/files/$path" ] && [ ! -e "$path" ] || continue
  mkdir -p "$(dirname "$path")" && cp -a --reflink=auto "$kept/files/$path" "$path" || exit 1
done
"""
SAVE = f"""
kept={KEPT}
rm -rf -- "$kept.new" && mkdir -p "$kept.new/files" || exit 1
for path do
  [ -e "$path" ] || continue
  mkdir -p "$kept.new/files/$(dirname "$path")" && cp -a --reflink=auto "$path" "$kept.new/files/$path" || exit 1
done
printf '%s' "${TOOLS}" > "$kept.new/tools" && rm -rf -- "$kept" && mv "$kept.new" "$kept"
"""


def dependency_commands(plan: Plan, env: Mapping[str, str]) -> tuple[tuple[Command, ...], tuple[Command, ...]]:
    """What stands before and after the plan's build; nothing when nothing is to be kept.

    Raises InvalidError for a path that leads outside.
    """
    asked = env.get("CC_CACHE_DEPENDENCIES", "").strip()
    paths = (*(f"./{each}" for each in plan.dependencies), *paths_of(env, "CC_CACHE_DEPENDENCIES_EXTRA_PATHS"))
    if not (is_true(asked) if asked else plan.keeps_dependencies) or not paths:
        return (), ()
    before = Command("dependencies of the last build", ("/bin/sh", "-c", RESTORE, "restore", *paths), quiet=True)
    after = Command("keep dependencies", ("/bin/sh", "-c", SAVE, "save", *paths), quiet=True)
    return (before,), (after,)
