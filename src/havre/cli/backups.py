"""`havre backup` and `havre restore`: the control plane's own state in one archive, and back on an empty machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from havre import __version__
from havre.base.errors import InvalidError
from havre.cli import options, process
from havre.kernel import backup as backups
from havre.kernel import config as settings
from havre.kernel.backup.model import SETTINGS
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config

TOLD = ("base_domain", "http_port", "https_port", "api")


@click.command()
@click.argument("to", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one object about the archive.")
@options.data
@options.config
def backup(to: Path, as_json: bool, data: Path | None, file: Path | None) -> None:
    """Write everything that cannot be made again to the archive TO (a file, or a directory), while Havre runs or not.

    Whoever has the archive has the installation: its keys and its apps' variables are in it.
    """
    place = options.place(data, file)
    running = process.status_of(place) or {}
    file = file or (Path(running["config"]) if running.get("config") else None)
    config = settings.load(file)
    _check_store(config, running)
    told = {name: running[name] for name in TOLD if name in running} or _settings_of(config)
    source = backups.Source(place, __version__, file, told)
    made, manifest = backups.take(source, to.absolute(), now=SystemClock().now(), tell=_teller(quiet=as_json))
    if as_json:
        click.echo(json.dumps({"file": str(made), "bytes": made.stat().st_size, **asdict(manifest)}, indent=2))
        return
    click.echo(f"Backed up    {made}, {made.stat().st_size / 1024**2:.1f} MiB, {manifest.repositories} repositories")
    if file is None:
        click.echo("No settings file is in it: Havre runs with none (else say --config FILE)")
    for each in _named_files(config):
        click.echo(f"Not in it: {each}, which the settings name; keep a copy of it")


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="The data directory: new, or empty.")
@click.option("--json", "as_json", is_flag=True, help="Print one object about what was restored.")
def restore(archive: Path, data: Path, as_json: bool) -> None:
    """Make an empty data directory of ARCHIVE; the next `havre up` deploys every app again."""
    place, now = data.absolute(), SystemClock().now()
    tell = _teller(quiet=as_json)
    manifest = backups.restore(archive.absolute(), place, known=known_schema(), now=now, tell=tell)
    start = ["havre", "up", "--detach", "--data", str(place)]
    if any(each.name == SETTINGS for each in manifest.items):
        start += ["--config", str(place / SETTINGS)]
    else:
        start += _start_options(manifest.settings)
    if as_json:
        click.echo(json.dumps({"data": str(place), "start": start, **asdict(manifest)}, indent=2))
        return
    click.echo(f"Restored     {place}, {manifest.repositories} repositories")
    click.echo(f"Start it: {shlex.join(start)}")
    click.echo("Every app that served is then deployed again, from the commit that served.")


def known_schema() -> dict[str, int]:
    """The newest step of each room's tables that this version has."""
    from havre import apps, edge, governance, network, notifications, observe
    from havre.kernel import operations
    from havre.kernel.store import events_schema

    rooms = (apps, edge, governance, network, notifications, observe, operations)
    return {each.room: len(each.steps) for each in (events_schema(), *(room.SCHEMA for room in rooms))}


def _check_store(config: Config, running: Mapping[str, Any]) -> None:
    """Raises InvalidError for a database that is not ours to copy, with what to do."""
    if config.store.url or running.get("store", "sqlite") != "sqlite":
        kept = " ".join(("git", *backups.KEPT))
        raise InvalidError(
            "the state of this installation is in the database that [store] url names; havre backup copies the one in "
            "the data directory alone. Take the state with the database's own tools first (pg_dump --format=custom), "
            f"then, of the data directory: {kept}"
        )


def _settings_of(config: Config) -> dict[str, Any]:
    edge = config.edge
    found = {"base_domain": edge.base_domain, "http_port": edge.http_port, "https_port": edge.https_port}
    return {**found, "api": config.origin}


def _start_options(told: Mapping[str, Any]) -> list[str]:
    plain = _settings_of(Config())
    names = [name for name in ("base_domain", "http_port", "https_port") if told.get(name, plain[name]) != plain[name]]
    return [word for name in names for word in (f"--{name.replace('_', '-')}", str(told[name]))]


def _named_files(config: Config) -> list[str]:
    """Files that the settings name and that may hold secrets."""
    acme = config.edge.acme
    named = (config.mail.password_file, acme.eab_key_file, acme.ca_bundle, config.build.packages.ca_bundle)
    return [each for each in named if each]


def _teller(*, quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else click.echo
