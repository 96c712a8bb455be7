"""The build of a deployment as data: one unit that runs every command in order, the first failure being the end.

What the operator's package indexes ask for is handed in here and nowhere else: the running app never sees it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.apps import images, keys
from havre.apps.keys import Key
from havre.apps.model import App, Deployment
from havre.apps.packages import HOST_CA, Packages, app_npmrc, packages
from havre.apps.runtimes import Command, Plan
from havre.apps.runtimes.dependencies import TOOLS
from havre.apps.variables import CA_NAMES, HOME, home, variables
from havre.base.errors import InvalidError
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.drivers.toolchains import Toolchain
from havre.kernel.config import BuildConfig, Config, Paths
from havre.kernel.units import Bind, Limits, Quota, Tree, UnitSpec

OWN_CA = "/opt/havre/ca.pem"
FILE, PLACE = "HAVRE_FILE_", "HAVRE_PLACE_"  # files below the build's home, on their way in: content and path
SCRATCH_BYTES, SCRATCH_FILES = 2 * 1024**3, 262_144
WEIGHT = 30  # of the processor, where a running app has 100: a build waits for those who serve
PRELUDE = f"""#!/bin/sh
set -u{keys.PRELUDE}n=0
while eval "[ -n \\"\\${{{FILE}$n:-}}\\" ]"; do
  eval "text=\\${FILE}$n place=\\$HOME/\\${PLACE}$n"
  (umask 077 && mkdir -p "$(dirname "$place")" && printf '%s' "$text" > "$place") || exit 1
  unset "{FILE}$n" "{PLACE}$n" text
  n=$((n + 1))
done
ms() {{ echo $(($(date +%s%N) / 1000000)); }}
took() {{ t=$(($(ms) - $1)); printf '%s took %s.%s s\\n' "$2" $((t / 1000)) $((t % 1000 / 100)); }}
"""
EPILOGUE = 'sync -f "$APP_HOME"\n'  # what is recorded as built is on the disk


def build_script(commands: Sequence[Command]) -> str:
    """The build as a program for the sandbox's shell: each command named and timed, and its failure the end."""
    parts = [PRELUDE]
    for command in commands:
        name = shlex.quote(command.name)
        argv = ("/bin/sh", "-c", command.hook) if command.hook else command.argv
        shown = f"{command.name}: {command.hook}" if command.hook else "$ " + shlex.join(command.argv)
        parts.append(
            f"printf '%s\\n' {shlex.quote(command.name if command.quiet else shown)}\n"
            "began=$(ms)\n"
            f"{shlex.join(argv)} < /dev/null\n"
            "code=$?\n"
            'if [ "$code" -ne 0 ]; then\n'
            f"  printf '%s failed with exit code %s\\n' {name} \"$code\"\n"
            '  exit "$code"\n'
            "fi\n"
            f'took "$began" {name}\n'
        )
    return "".join([*parts, EPILOGUE])


def build_spec(
    *,
    config: Config,
    paths: Paths,
    host: Mapping[str, str],
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    unit_id: UnitId,
    cache: Path,
    log: Path,
    tree: Path | None = None,
    key: Key | None = None,
    folder: str = "build",
) -> UnitSpec:
    """The build of one deployment: all its commands in one sandbox, the release writable at APP_HOME.

    The script of `build_script` stands in `<deployments>/<id>/<folder>/build.sh`. cache: the app's own. tree: of its
    stack; None: the host's /usr. key: the app's, for private dependencies.
    Raises InvalidError when the configured bundle of authorities is not there, or images cannot be built here.
    """
    memory_mib, cpus = sizes(app, config)
    found = packages(config.build.packages, host)
    told = variables(
        app=app,
        deployment=deployment,
        plan=plan,
        toolchains=toolchains,
        instance_id=unit_id,
        number=0,
        kind="build",
        memory_mib=memory_mib,
        cpus=cpus,
    )
    env = dict(found.environment) | told | _own(found, deployment.env)
    env |= {TOOLS: " ".join(f"{each.name}-{each.version}" for each in toolchains)}
    env |= key.environment() if key is not None else {}
    shown, asked = images.bases(config.build.images, is_root=os.getuid() == 0) if plan.image else ((), {})
    binds = (
        *(Bind(each.source, each.target) for each in toolchains),
        Bind(paths.deployments / deployment.id / folder, "/opt/havre/build"),
        Bind(paths.releases / app.id / deployment.id, home(app), writable=True),
        Bind(cache, f"{HOME}/.cache", writable=True),
        *((Bind(keys.known_hosts(paths, app), keys.KNOWN, writable=True),) if key is not None else ()),
        *_ca_bind(found),
        *shown,
    )
    return UnitSpec(
        id=unit_id,
        kind="build",
        argv=("/bin/sh", "/opt/havre/build/build.sh"),
        env=env | asked,
        cwd=env["APP_ROOT"],
        limits=Limits(memory_mib * 1024**2, cpus, pids=2048, weight=WEIGHT),
        log=log,
        labels={"app": app.id, "deployment": deployment.id, "kind": "build", "commit": deployment.commit_id},
        binds=binds,
        uid=app.uid,
        users=images.users(app, config) if plan.image else None,
        nests=plan.image,
        deadline_s=config.build.timeout_s,
        scratch_bytes=SCRATCH_BYTES,
        scratch_files=SCRATCH_FILES,
        quota=_quota(config.build, paths.releases / app.id / deployment.id, cache),
        tree=tree,
    )


def _quota(build: BuildConfig, release: Path, cache: Path) -> Quota:
    trees = (
        Tree("the build's folder", release, build.release_bytes, build.release_files),
        Tree("the build cache", cache, build.app_cache_bytes, build.release_files),
    )
    return Quota(trees, build.reserve_bytes, build.reserve_files)


def sizes(app: App, config: Config) -> tuple[int, float]:
    """MiB of memory and processors of the app's builds: its build flavor's when it has separate builds, else the
    installation's (docs/decisions, what a build leaves)."""
    if not app.separate_build:
        return config.build.memory_mib, config.build.cpus
    found = flavor(app.build_flavor)
    return found.memory_mib, float(found.cpus)


def _own(found: Packages, app_env: Mapping[str, str]) -> dict[str, str]:
    """What builds see beyond the variables of the contract; the app's own words on npm come last and win."""
    env = {
        "npm_config_cache": f"{HOME}/.cache/npm",
        "npm_config_update_notifier": "false",
        "YARN_CACHE_FOLDER": f"{HOME}/.cache/yarn",
        "PNPM_HOME": f"{HOME}/.cache/pnpm",
        "CI": app_env.get("CI", "1"),
        "CARGO_HTTP_CAINFO": HOST_CA,
    }
    files = dict(found.files) | {".npmrc": found.files.get(".npmrc", "") + app_npmrc(app_env)}
    for number, (place, text) in enumerate((place, text) for place, text in sorted(files.items()) if text):
        env |= {f"{FILE}{number}": text, f"{PLACE}{number}": place}
    names = (*CA_NAMES, "CARGO_HTTP_CAINFO")
    return env | (dict.fromkeys(names, OWN_CA) if found.ca_bundle is not None else {})


def _ca_bind(found: Packages) -> tuple[Bind, ...]:
    if found.ca_bundle is None:
        return ()
    if not found.ca_bundle.is_file():
        raise InvalidError(f"build.packages.ca_bundle: there is no file {found.ca_bundle}")
    return (Bind(found.ca_bundle, OWN_CA),)
