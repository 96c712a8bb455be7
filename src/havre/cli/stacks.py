"""`havre stacks`: the trees of packages that apps run on, and moving apps to today's."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from havre.base.errors import InvalidError, UnavailableError
from havre.cli import options
from havre.client import Client
from havre.wire import models

LIMIT_S = 3600.0


@click.group()
def stacks() -> None:
    """Stacks: the packages that apps see as their root."""


@stacks.command("list")
@click.option("--json", "as_json", is_flag=True)
@options.data
def list_stacks(as_json: bool, data: Path | None) -> None:
    """Every stack, how large it is, and who runs on it."""
    found = Client.of_data(options.place(data)).stacks()
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    if not found.available:
        click.echo("No stacks: this machine lacks apt-get or dpkg-deb; apps see its own programs")
    elif not found.stacks:
        click.echo("No stacks yet: the first deployment makes them")
    for each in found.stacks:
        who = ", ".join(app.name for app in each.apps) or ("kept for a release" if each.needed else "nobody")
        made = datetime.fromtimestamp(each.madeAt / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        size = f"{each.bytes / 1024**2:6.0f} MiB"
        click.echo(f"{each.id}  {each.packageCount:4} packages {size}  made {made}  {who}")


@stacks.command("show")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True)
@options.data
def show(id: str, as_json: bool, data: Path | None) -> None:
    """The packages of a stack with their versions."""
    found = Client.of_data(options.place(data)).stack(id)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    click.echo(f"{found.id}: made for {', '.join(found.asked)}")
    for each in found.packages:
        click.echo(f"  {each.name:<32} {each.version}{'' if each.name not in found.asked else '  *'}")


@stacks.command("upgrade")
@click.argument("apps", nargs=-1)
@click.option("--all", "all_of_them", is_flag=True, help="Every app that runs.")
@click.option("--json", "as_json", is_flag=True)
@options.data
def upgrade(apps: tuple[str, ...], all_of_them: bool, as_json: bool, data: Path | None) -> None:
    """Move running APPS (ids or names) to the stack that their packages have today, without an interruption."""
    if bool(apps) == all_of_them:
        raise InvalidError("name the apps to upgrade, or say --all")
    client = Client.of_data(options.place(data))
    id = client.upgrade_stacks(list(apps), all_of_them=all_of_them).id
    seen = _until_ended(client, id, quiet=as_json)
    if as_json:
        click.echo(seen.model_dump_json(indent=2))
    sys.exit(1 if any(each.problem or each.state in ("FAIL", "CANCELLED") for each in seen.moves) else 0)


def _until_ended(client: Client, id: str, *, quiet: bool) -> models.UpgradeStatus:
    """Follow an upgrade to the end of its deployments, telling each news of an app once. Raises UnavailableError."""
    told: set[tuple[str, str]] = set()
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        seen = client.upgrade(id)
        if seen.status == "undone":
            raise UnavailableError(f"nothing was upgraded: {seen.error}")
        for each in seen.moves:
            for text in _tell(each, is_over=seen.status == "done"):
                if (each.app.id, text) not in told and not quiet:
                    click.echo(f"{each.app.name}: {text}")
                told.add((each.app.id, text))
        if seen.status == "done" and not any(each.state == "WIP" for each in seen.moves):
            return seen
        time.sleep(0.5)
    raise UnavailableError(f"the upgrade {id} has not ended within {LIMIT_S:.0f} s; see havre status")


def _tell(move: models.UpgradeMove, *, is_over: bool) -> tuple[str, ...]:
    """What there is to say of it by now: what changes is said of one that was quick, too."""
    if move.problem:
        return (move.problem,)
    if not move.changes:
        return (f"stays on {move.old or 'the programs of this machine'}: nothing is newer",)
    if move.state is None and not is_over:
        return ()
    more = f" and {len(move.changes) - 3} more" if len(move.changes) > 3 else ""
    how = "is built again on" if move.rebuilds else "moves to"
    moving = f"{how} {move.new}: {'; '.join(move.changes[:3])}{more}"
    if move.state == "OK":
        return moving, f"serves on {move.new}"
    if move.state in ("FAIL", "CANCELLED"):
        failed = f"{move.state.lower()}, and what served still does (clever logs --deployment-id {move.deployment})"
        return moving, failed
    return (moving,)
