"""The files that a deployment begins with: its commit, that commit's history and submodules where they are asked for.

Submodules are fetched inside a sandbox, with the app's key and over https and ssh alone: an address in a repository
is a stranger's word, and must reach neither the host's files nor its network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread

from havre import observe
from havre.apps import bounds, files, keys, logbook, runtimes, specs
from havre.apps.model import App, Deployment
from havre.apps.runtimes import Command, Plan
from havre.base.errors import InvalidError
from havre.base.ids import UnitId
from havre.drivers import git

if TYPE_CHECKING:
    from havre.apps.work import Work

FOLDER = "fetch"  # in the deployment's folder, beside `build`
FETCH_S = 900.0
NO_PLAN = Plan("", (), (), "")
SUBMODULES = """
cd "$APP_HOME" || exit 1
export GIT_ALLOW_PROTOCOL=https:ssh GIT_TERMINAL_PROMPT=0
own=
if [ ! -e .git ]; then
  own=1
  git init --quiet --template= . && cp /opt/havre/build/index .git/index || exit 1
fi
git submodule update --quiet --init --recursive --depth 1 --jobs 4 ||
  git submodule update --init --recursive --jobs 4 || exit 1
git submodule status --recursive
[ -n "$own" ] || exit 0
git submodule --quiet foreach --recursive 'printf "%s\\n" "$PWD/.git"' > /tmp/links || exit 1
while IFS= read -r link; do rm -rf -- "$link"; done < /tmp/links
rm -rf .git
"""


async def fetch(work: Work, app: App, deployment: Deployment, unit_id: UnitId) -> None:
    """Write the deployment's files to its release folder, anew; finds the fetch of submodules that is under way.

    Raises InvalidError, ExhaustedError with what is wrong with the commit or its submodules.
    """
    paths, units = work.kernel.paths, work.kernel.units
    place = paths.releases / app.id / deployment.id
    repository = paths.git / f"{app.id}.git"
    if await units.get(unit_id) is None:
        await anyio.to_thread.run_sync(files.remove, place)
        build = work.kernel.config.build
        files.check_room(paths.releases, reserve_bytes=build.reserve_bytes, reserve_files=build.reserve_files)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await git.checkout(repository, deployment.commit_id, place, limit_bytes=build.release_bytes)
        if runtimes.is_true(deployment.env.get("CC_GIT_FULL_CLONE")):
            await git.add_history(repository, deployment.commit_id, place)
    if (place / ".gitmodules").is_file() and not runtimes.is_true(deployment.env.get("CC_DISABLE_GIT_SUBMODULES")):
        found = await git.submodules(repository, deployment.commit_id)
        check_submodules(found)
        if found:
            await _fetch_submodules(work, app, deployment, unit_id)


def check_submodules(found: dict[str, str]) -> None:
    """Raises InvalidError for an address that is not fetched: neither https nor ssh, or with a password in it."""
    for name, url in found.items():
        scheme = urlsplit(url).scheme if "://" in url else ""
        is_scp = not scheme and ":" in url.split("/", 1)[0] and not url.startswith((".", "-")) and "::" not in url
        if scheme not in ("https", "ssh") and not is_scp:
            raise InvalidError(
                f"submodule {name}: {url} is not fetched: only https:// and ssh addresses are "
                "(change .gitmodules, or set CC_DISABLE_GIT_SUBMODULES=true)"
            )


async def _fetch_submodules(work: Work, app: App, deployment: Deployment, unit_id: UnitId) -> None:
    kernel = work.kernel
    log = logbook.file_of(kernel.paths, deployment.id, unit_id)
    source = work.build_source(app, deployment, unit_id, log)
    await kernel.store.write(lambda tx: observe.add_source(tx, source))
    if await kernel.units.get(unit_id) is None:
        await _start(work, app, deployment, unit_id, log)
    ended = await kernel.units.wait(unit_id)
    await kernel.store.write(lambda tx: observe.end_source(tx, unit_id))
    if not ended.is_success:
        raise InvalidError(f"the submodules could not be fetched: {bounds.last_words(log, ended)}")
    await kernel.units.forget(unit_id)


async def _start(work: Work, app: App, deployment: Deployment, unit_id: UnitId, log: Path) -> None:
    kernel, paths = work.kernel, work.kernel.paths
    folder = paths.deployments / deployment.id / FOLDER
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    command = Command("submodules", ("/bin/sh", "-c", SUBMODULES), quiet=True)
    files.write_for_sandbox(folder / "build.sh", specs.build_script((command,)))
    await git.write_index(paths.git / f"{app.id}.git", deployment.commit_id, folder / "index")
    (folder / "index").chmod(0o644)
    place, scratch = paths.releases / app.id / deployment.id, folder / "cache"
    scratch.mkdir(mode=0o755, exist_ok=True)
    key = keys.key_of(deployment.env, files.app_folder(place, deployment.env))
    await work.hand_over(app, place, scratch, keys.known_hosts(paths, app) if key is not None else None)
    spec = specs.build_spec(
        config=kernel.config,
        paths=paths,
        host=kernel.environment,
        app=app,
        deployment=deployment,
        plan=NO_PLAN,
        toolchains=(),
        unit_id=unit_id,
        cache=scratch,
        log=log,
        tree=await work.build_tree(deployment, NO_PLAN),
        key=key,
        folder=FOLDER,
    )
    limit_s = min(FETCH_S, kernel.config.build.timeout_s)
    await kernel.units.start(replace(spec, cwd=specs.home(app), deadline_s=limit_s))
