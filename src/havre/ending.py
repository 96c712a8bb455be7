"""Ends everything of an installation, instances and edge included: `python -m havre.ending`. The data stays.

Beside the daemon and not in it, for it needs a fourth of what that loads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import click
import structlog

from havre.base.errors import HavreError
from havre.drivers import caddy
from havre.kernel import config as settings
from havre.kernel import units
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, Paths
from havre.kernel.context import configure_log

log = structlog.get_logger()


async def stop(config: Config, paths: Paths) -> None:
    """End every process of the installation but the control plane."""
    engine = units.open_units(config, paths, clock=SystemClock())

    async def end(unit: units.Unit) -> None:
        await engine.stop(unit.id, grace_s=config.apps.grace_s)

    async with anyio.create_task_group() as group:
        for unit in await engine.seen():
            group.start_soon(end, unit)
    await caddy.stop(paths.edge)  # the proxy, the gate and their keeper
    engine.stop_helpers()
    (paths.data / "status.json").unlink(missing_ok=True)


@click.command()
@click.option("--config", "file", type=click.Path(path_type=Path), default=None)
@click.option("--data", type=click.Path(path_type=Path), default=None)
def main(file: Path | None, data: Path | None) -> None:
    """End every process of one installation."""
    configure_log(stream=sys.stderr)
    try:
        config = settings.load(file, {})
        anyio.run(stop, config, settings.paths_of(data or Path(config.data)))
    except HavreError as error:
        log.error("daemon.ending.failed", error=error.message, **{k: str(v) for k, v in error.facts.items()})
        raise SystemExit(f"havre: {error.message}") from error


if __name__ == "__main__":
    main()
