"""`havre network`: what our routers should do, what would change, and the lab where it is tried."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, TypeVar

import anyio
import click

from havre.base.errors import HavreError, InvalidError
from havre.cli import options
from havre.client import Client
from havre.kernel.clock import SystemClock
from havre.network import now
from havre.wire import network as wire

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
FOLLOW_S = 0.5
EXAMPLE = ROOT / "examples" / "network" / "intent.yaml"
_file = click.argument("intent", type=click.Path(path_type=Path, dir_okay=False), default=EXAMPLE)


@click.group()
def network() -> None:
    """Prefixes, origins and upstreams: plan, apply, migrate, and the lab."""


@network.command()
@_file
@options.data
@click.option("--stage", default="", help="Of a migration: what the edges do at this stage (SHADOW, MULTI(2), …).")
@click.option("--json", "as_json", is_flag=True)
@click.option("--quiet", is_flag=True, help="Words alone, without the configurations.")
def plan(intent: Path, data: Path | None, stage: str, as_json: bool, quiet: bool) -> None:
    """What would change at our edges if INTENT were applied, and what the neighbours would have to do."""
    made = _run(lambda: now.plan_now(intent, _folder(data), stage=stage, clock=SystemClock()))
    if as_json:
        told = {"words": made.words, "turns": made.turns, "restarts": made.restarts}
        click.echo(
            json.dumps({**told, "differences": dict(made.differences), "requests": dict(made.requests)}, indent=2)
        )
        return
    if made.is_nothing:
        click.echo("Nothing changes")
        return
    for each in made.words:
        click.echo(f"  {each}")
    for name, asked in made.requests.items():
        click.echo(f"\n{name} has to do:")
        for line in asked.splitlines():
            click.echo(f"  - {line}")
    if not quiet:
        for difference in made.differences.values():
            click.echo(f"\n{difference}")
    rounds = "at once" if made.turns <= 1 else f"in {made.turns} turns, waiting for the sessions of each"
    click.echo(f"\nhavre network apply brings it out {rounds}")


@network.command()
@_file
@options.data
@click.option("--stage", default="", help="Of a migration: what the edges do at this stage.")
def apply(intent: Path, data: Path | None, stage: str) -> None:
    """Bring INTENT to our edges: checked by the daemons, kept as a version, one neighbour at a time where need be."""
    version = _run(lambda: now.apply_now(intent, _folder(data), stage=stage, clock=SystemClock()))
    click.echo(f"Version {version} is in force" if version else "Nothing changed")


@network.command()
@_file
@options.data
@click.option("--to", "number", type=int, help="The version to go back to; without it they are listed.")
def versions(intent: Path, data: Path | None, number: int | None) -> None:
    """What was brought to the edges, and going back to one of them."""
    if number is not None:
        made = _run(lambda: now.go_back(intent, _folder(data), number=number, clock=SystemClock()))
        click.echo(f"Version {number} is in force again" + (f", as version {made}" if made else "; nothing differed"))
        return
    for each, words in _run(lambda: now.versions(intent, _folder(data), clock=SystemClock())).items():
        click.echo(f"{each:4}  {words}")


@network.command()
@_file
@options.data
@click.option(
    "--evidence", type=click.Path(path_type=Path, dir_okay=False), help="What is known of neighbours' source filters."
)
def preflight(intent: Path, data: Path | None, evidence: Path | None) -> None:
    """What registries, RPKI, the daemon, probes and the intent itself say against going on, and what to do about it."""
    report = _run(lambda: now.preflight_now(intent, _folder(data), evidence_file=evidence, clock=SystemClock()))
    click.echo(str(report))
    sys.exit(0 if report.is_clear else 1)


@network.command()
@_file
@click.option("--clean", is_flag=True, help="What is taken away at the end instead.")
def objects(intent: Path, clean: bool) -> None:
    """The ROAs and objects that INTENT needs and the registry lacks, ready to be submitted, in the safe order."""
    found = _run(lambda: now.filings_now(intent, is_cleaning=clean, clock=SystemClock()))
    click.echo("\n".join(found) if found else "Nothing has to be filed")


@network.command()
@click.option("--engine", type=click.Choice(["bird", "frr"]), default="bird", help="Which daemon it is.")
@click.option("--socket", type=click.Path(path_type=Path), help="BIRD's control socket, or the folder of FRR's.")
@click.option("--edge", default="edge1", help="What this router is called.")
@click.option("--site", default="site1", help="Where it stands.")
@click.option("--aut-num", type=click.File(), help="A file with the aut-num object: it says who is a transit.")
def adopt(engine: str, socket: Path | None, edge: str, site: str, aut_num: IO[str] | None) -> None:
    """Print the intent that a running BIRD's or FRR's sessions, and an aut-num, amount to."""
    text = aut_num.read() if aut_num is not None else ""
    made = _run(lambda: now.adopt_now(socket, engine=engine, edge=edge, site=site, aut_num=text))
    click.echo(made, nl=False)


@network.command()
@_file
@click.option(
    "--scenario", "files", type=click.Path(path_type=Path, exists=True), multiple=True, help="A scenario of yours."
)
@click.option("--only", default="", help="Scenarios of ours whose names have this in them; the long ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print one object about every packet.")
@click.option("--list", "is_list", is_flag=True, help="Say what there is, and run nothing.")
@click.option("--proof", type=click.Path(path_type=Path), help="Write the proof files of migrations into this folder.")
def lab(intent: Path, files: tuple[Path, ...], only: str, as_json: bool, is_list: bool, proof: Path | None) -> None:
    """Build INTENT's situation in network namespaces with real daemons, and count packets both ways.

    Needs root. Nothing outside its own namespaces is reached, and nothing is left.
    """
    from havre.network import lab as laboratory

    scenarios = [laboratory.load(each) for each in files] or laboratory.chosen(only)
    if not scenarios:
        raise InvalidError(f"there is no scenario with {only!r} in its name; see havre network lab --list")
    if is_list:
        for each in scenarios:
            click.echo(f"  {each.name:<28} {each.path:<6} {each.what}")
        return
    content = intent.read_text() if intent.exists() else ""
    outcomes = []
    for each in scenarios:
        outcome = _run(
            lambda each=each: laboratory.run(content, each, clock=SystemClock(), file=str(intent))  # type: ignore[misc]
        )
        outcomes.append(outcome)
        if proof is not None and outcome.proof:
            proof.mkdir(parents=True, exist_ok=True)
            (proof / f"{each.name}.md").write_text(outcome.proof)
        if not as_json:
            click.echo(laboratory.told(outcome))
        elif outcome.remarks:
            click.echo(f"{each.name}: {'; '.join(outcome.remarks)}", err=True)
    if as_json:
        click.echo(json.dumps({"scenarios": [row for each in outcomes for row in each.rows()]}, indent=2))
    unexpected = [outcome for outcome in outcomes if outcome.wrong]
    for outcome in unexpected:
        click.echo(f"havre: {outcome.scenario.name}: {'; '.join(outcome.wrong)}", err=True)
    sys.exit(1 if unexpected else 0)


@network.group()
def migrate() -> None:
    """The way from one origin to another: one gate after the other, with the daemon of this installation."""


_id = click.argument("id")


@migrate.command()
@_id
@click.argument("intent", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--goal", default="CLEANED", help="How far: a stage such as FLIPPED.")
@options.data
def begin(id: str, intent: Path, goal: str, data: Path | None) -> None:
    """Begin the migration ID of INTENT. It stops wherever something is not as it must be, and says why."""
    now.check(intent)  # its mistakes are told of the file
    _tell(Client.of_data(options.place(data)).begin_migration(id, intent.read_text(), goal))


@migrate.command("list")
@options.data
def list_migrations(data: Path | None) -> None:
    """Every migration, and where it is."""
    for each in Client.of_data(options.place(data)).migrations():
        _tell(each)


@migrate.command()
@_id
@options.data
@click.option("--json", "as_json", is_flag=True)
@click.option("--follow", is_flag=True, help="Stay until it is at its goal, or stops.")
def show(id: str, data: Path | None, as_json: bool, follow: bool) -> None:
    """Where ID is, and what was seen on the way."""
    client, told = Client.of_data(options.place(data)), 0
    while True:
        found = client.migration(id)
        if as_json:
            click.echo(found.model_dump_json(indent=2))
            return
        for each in found.evidence[told:]:
            click.echo(f"  {each.stage:<10} {each.kind:<10} {each.words}")
        told = len(found.evidence)
        if not follow or found.paused or found.stage == found.goal:
            _tell(found)
            sys.exit(1 if follow and found.stage != found.goal else 0)
        time.sleep(FOLLOW_S)


@migrate.command()
@_id
@click.argument("what")
@click.option("--words", default="", help="Who said so, and where.")
@options.data
def confirm(id: str, what: str, words: str, data: Path | None) -> None:
    """Say that WHAT is so: an upstream's name (its filters have us), or `registered`."""
    Client.of_data(options.place(data)).change_migration(id, "confirmations", {"what": what, "words": words})
    click.echo(f"{what} is confirmed")


@migrate.command()
@_id
@options.data
def pause(id: str, data: Path | None) -> None:
    """Begin nothing more; what is under way goes to its end."""
    Client.of_data(options.place(data)).change_migration(id, "pause")
    click.echo(f"{id} is paused")


@migrate.command()
@_id
@click.option("--goal", default="", help="Another stage to go to.")
@options.data
def resume(id: str, goal: str, data: Path | None) -> None:
    """Go on, after a pause or after something was taken back."""
    Client.of_data(options.place(data)).change_migration(id, "resume", {"goal": goal})
    click.echo(f"{id} goes on")


@migrate.command()
@_id
@options.data
def revert(id: str, data: Path | None) -> None:
    """Go back by one stage; what is under way is taken back instead."""
    click.echo(Client.of_data(options.place(data)).change_migration(id, "revert")["text"])


@migrate.command()
@_id
@options.data
def proof(id: str, data: Path | None) -> None:
    """Print the proof file: what was checked, done and seen at each stage, and when."""
    click.echo(Client.of_data(options.place(data)).proof_of_migration(id), nl=False)


def _tell(found: wire.MigrationObject) -> None:
    way = "paused" if found.paused else "there" if found.stage == found.goal else f"on the way to {found.goal}"
    click.echo(f"{found.id}: {found.stage}, {way}" + (f": {found.note}" if found.note else ""))


def _folder(data: Path | None) -> Path:
    return options.place(data) / "network"


def _run(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return anyio.run(work)
    except* HavreError as group:
        found: BaseException = group
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        raise found from None
