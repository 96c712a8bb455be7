"""How the instances of a deployment start: what they run, how the hooks hear of it, what people are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from havre.apps import build, decide, files, launch, launchers, specs, tables
from havre.apps.launch import Launch
from havre.apps.model import App, Deployment, Instance
from havre.apps.runtimes import Plan
from havre.apps.runtimes.request_flow.launch import start_line
from havre.base.errors import InvalidError
from havre.base.flavors import FLAVORS, rank
from havre.base.ids import UnitId
from havre.kernel.config import Config
from havre.kernel.kernel import Kernel

FAILED_HOOK_S = 70.0


def launch_of(app: App, deployment: Deployment, plan: Plan, folder: Path) -> Launch:
    """What an instance runs. folder: the app's, with its cron.json. A task runs CC_RUN_COMMAND and no more.

    Raises InvalidError naming what is wrong in a variable or in cron.json.
    """
    if plan.image:  # it says itself how it starts, and nothing of ours runs beside it
        return Launch("", ends=decide.is_task(app.lifetime, deployment.env))
    if decide.is_task(app.lifetime, deployment.env):
        command = deployment.env.get("CC_RUN_COMMAND", "").strip()
        if not command:
            raise InvalidError(
                "a task needs CC_RUN_COMMAND, the command that it runs (clever env set CC_RUN_COMMAND …)"
            )
        return launch.launch_of(start=command, env=deployment.env, ends=True)
    said = files.read_inside(folder, launch.cron.FILE, limit_bytes=launch.cron.LIMIT_BYTES + 1)
    if said is not None and len(said) > launch.cron.LIMIT_BYTES:
        raise InvalidError(f"{launch.cron.FILE} may have {launch.cron.LIMIT_BYTES // 1024} KiB")
    text = said.decode(errors="replace") if said is not None else None
    return launch.launch_of(start=start_line(plan), env=deployment.env, workers=plan.workers, cron_text=text)


async def tell_succeeded(kernel: Kernel, deployment: Deployment, ids: Sequence[str]) -> None:
    """The deployment serves: its instances run the hook for that, if there is one."""
    found = await kernel.store.read(lambda conn: [tables.instance(conn, id) for id in ids])
    async with anyio.create_task_group() as group:
        for each in found:
            if each is not None:
                folder = specs.launch_folder(kernel.paths, each)
                group.start_soon(_tell, kernel, folder, True)


async def tell_failed(kernel: Kernel, instance: Instance) -> None:
    """The instance did not start: it runs the hook for that, if there is one, and ends. Waits for it, with a limit."""
    unit = await kernel.units.get(UnitId(instance.id))
    if unit is None or unit.state == "exited":
        return  # it has run its hook by itself
    if await _tell(kernel, specs.launch_folder(kernel.paths, instance), False):
        with anyio.move_on_after(FAILED_HOOK_S):
            await kernel.units.wait(UnitId(instance.id))


async def _tell(kernel: Kernel, folder: Path, succeeded: bool) -> bool:
    return await launchers.tell(folder, succeeded=succeeded, clock=kernel.clock)


def out_of_memory(name: str) -> str:
    bigger = FLAVORS[rank(name) + 1].name if rank(name) + 1 < len(FLAVORS) else None
    hint = f"; take flavor {bigger} (clever scale --flavor {bigger})" if bigger else ""
    return f"out of memory: the app needs more than flavor {name} has{hint}"


def larger_build(app: App, config: Config) -> str:
    """What to do about a build that needs more memory than it has."""
    memory_mib, _ = build.sizes(app, config)
    bigger = next((each.name for each in FLAVORS if each.memory_mib > memory_mib), None)
    return f" ({memory_mib} MiB; clever scale --build-flavor {bigger} gives more)" if bigger else ""
