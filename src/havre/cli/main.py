"""`havre`: start, stop, look, and hand over."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from havre import __version__
from havre.base.errors import HavreError, UnavailableError
from havre.cli import operators, options, process, shell
from havre.client import Client
from havre.kernel import config as settings
from havre.kernel import doctor as examination

ELSEWHERE = {
    "backup": "backups:backup",
    "certs": "certificates:certs",
    "network": "network:network",
    "restore": "backups:restore",
    "stacks": "stacks:stacks",
}


class _Group(click.Group):
    """Our errors are sentences, not traces. What a command of another file needs is loaded when it is called: the
    network's alone would make each start half as long again."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in ELSEWHERE:
            return super().get_command(ctx, name)
        module, _, command = ELSEWHERE[name].partition(":")
        found: click.Command = getattr(importlib.import_module(f"havre.cli.{module}"), command)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HavreError as error:
            click.echo(f"havre: {error.message}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Havre: a cloud platform on machines you own."""


@main.command()
@click.option("--detach", is_flag=True, help="Run in the background; return when it is ready.")
@click.option("--json", "as_json", is_flag=True, help="Print one object about what runs (with --detach).")
@options.data
@options.config
@click.option("--base-domain", help="Apps are <name>.<this> (havre.localhost).")
@click.option("--http-port", type=int)
@click.option("--https-port", type=int)
@click.option("--package-index", help="The Python package index that builds use.")
@click.option("--npm-registry", help="The npm registry that builds use.")
def up(
    detach: bool,
    as_json: bool,
    data: Path | None,
    file: Path | None,
    base_domain: str | None,
    http_port: int | None,
    https_port: int | None,
    package_index: str | None,
    npm_registry: str | None,
) -> None:
    """Start Havre."""
    overrides = {
        "edge.base_domain": base_domain,
        "edge.http_port": http_port,
        "edge.https_port": https_port,
        "build.packages.index_url": package_index,
        "build.packages.npm_registry": npm_registry,
    }
    settings.load(file, overrides)
    place = options.place(data, file)
    config_file = file.absolute() if file is not None else None
    if not detach and not as_json:
        if process.status_of(place) is not None:
            raise UnavailableError(f"Havre is already running on {place} (see: havre status)")
        place.mkdir(parents=True, exist_ok=True)
        os.execve(sys.executable, process.command("daemon", place, config_file, overrides), process.environment())
    first = not (place / "credentials.json").exists()
    status = process.start(place, config_file, overrides)
    if as_json:
        click.echo(json.dumps(status, indent=2))
        return
    click.echo(f"Havre is up: {status['api']} (apps: {status['apps']})")
    if first:
        made = json.loads((place / "credentials.json").read_text())
        click.echo(
            f"Operator: {made['email']}, password {made['password']} (shown once; kept in {place}/credentials.json)"
        )
    click.echo(f'Your shell: eval "$({shell_command(place)})"')


def shell_command(data: Path) -> str:
    import shlex

    program = Path(sys.prefix) / "bin" / "havre"
    return f"{shlex.quote(str(program))} env --data {shlex.quote(str(data))}"


@main.command()
@options.data
@options.config
@click.option("--control-plane", is_flag=True, help="Stop the control plane alone: apps go on serving.")
def down(data: Path | None, file: Path | None, control_plane: bool) -> None:
    """Stop Havre: the control plane, every instance, the edge. The data stays."""
    place = options.place(data, file)
    if control_plane:
        was = process.stop_control_plane(place)
    else:
        was = process.status_of(place) is not None
        process.stop_everything(place, file.absolute() if file is not None else None)
    click.echo("Havre is stopped; the data stays in " + str(place) if was else "Havre was not running")


@main.command()
@click.option("--json", "as_json", is_flag=True)
@options.data
def status(as_json: bool, data: Path | None) -> None:
    """What runs, how the rooms are, which operations are under way."""
    place = options.place(data)
    found = process.status_of(place)
    if found is None:
        if as_json:
            click.echo(json.dumps({"running": False, "data": str(place)}))
        else:
            click.echo(f"Havre does not run on {place} (start it: havre up --detach)")
        sys.exit(3)
    seen = Client.of_data(place).status()
    if as_json:
        click.echo(json.dumps({"running": True, **found, **seen.model_dump()}, indent=2))
        return
    click.echo(f"Havre {found['version']} at {found['api']}, apps at {found['apps']}, data in {found['data']}")
    for room in seen.rooms:
        figures = ", ".join(f"{name} {value:g}" for name, value in room.figures.items())
        backlog = f"{room.backlog} under way" if room.backlog else ""
        click.echo(
            f"  {room.name:<13} {room.error or 'well':<30} {', '.join(each for each in (figures, backlog) if each)}"
        )
    for each in seen.operations:
        click.echo(
            f"  {each.kind} of {each.key}: {each.status}, step {each.step} {each.progress} {each.error}".rstrip()
        )


@main.command()
@options.data
def env(data: Path | None) -> None:
    """Lines for your shell: eval "$(havre env)" and clever, git and curl work."""
    place = options.place(data)
    found = process.status_of(place)
    if found is None:
        raise UnavailableError(f"Havre does not run on {place} (start it: havre up --detach)")
    click.echo(shell.lines(shell.variables(place, found)), nl=False)


@main.command()
@click.option("--json", "as_json", is_flag=True)
@options.data
@options.config
def doctor(as_json: bool, data: Path | None, file: Path | None) -> None:
    """What this machine can and cannot do, and what follows."""
    config = settings.load(file)
    place = options.place(data, file)
    running = process.status_of(place) is not None
    findings = list(examination.examine(config, settings.paths_of(place), running=running))
    if as_json:
        click.echo(json.dumps([vars(each) for each in findings], indent=2))
    else:
        for each in findings:
            mark = "yes" if each.ok else "NO "
            click.echo(f"  {each.what:<14} {mark}  {each.seen}" + (f"\n{'':21}{each.follows}" if each.follows else ""))
    sys.exit(1 if any(each.fatal for each in findings) else 0)


@main.command()
@options.data
@options.config
def demo(data: Path | None, file: Path | None) -> None:
    """Create, deploy and open an app with the stock command line, and say what to do next."""
    from havre.cli import demo as demonstration

    demonstration.run(options.place(data, file), file.absolute() if file is not None else None)


operators.add(main)
