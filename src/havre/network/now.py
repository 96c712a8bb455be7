"""What the command line asks for at once: plan, apply, go back, adopt. No operation: each is over in seconds."""

from __future__ import annotations

from pathlib import Path

from havre.base.errors import ConflictError
from havre.drivers.bird import Bird
from havre.drivers.frr import Frr
from havre.kernel.clock import Clock
from havre.network import adopt, decide, evidence, intent
from havre.network import plan as plans
from havre.network.act import Edges
from havre.network.decide import Posture
from havre.network.engines import FilterLists
from havre.network.model import Intent
from havre.network.preflight import Report, told

PLACES = {"bird": Path("/run/bird/bird.ctl"), "frr": Path("/run/frr")}


def _posture(wanted: Intent, stage: str) -> Posture:
    return decide.posture(wanted, decide.stage_named(wanted, stage)) if stage else decide.settled(wanted)


def check(file: Path) -> None:
    """Raises InvalidError with the mistakes of the file, each with its line."""
    intent.load(file)


async def plan_now(
    file: Path, folder: Path, *, stage: str, clock: Clock, lists: FilterLists | None = None
) -> plans.Plan:
    """What would change if the intent of `file` were applied. Raises InvalidError with the mistakes of the file."""
    wanted = intent.load(file)
    posture = _posture(wanted, stage)
    edges = Edges(wanted, folder, clock)
    lists = lists if lists is not None else await evidence.lists_of(wanted, folder, clock=clock)
    return plans.plan(wanted, posture, before=edges.present(), after=edges.texts(posture, lists))


async def apply_now(file: Path, folder: Path, *, stage: str, clock: Clock, lists: FilterLists | None = None) -> int:
    """Bring the intent to the edges; returns the number of the version, 0 when nothing differed. Raises ConflictError
    for a tree with prefixes of an old origin and no stage: that is a migration, and goes gate by gate."""
    wanted = intent.load(file)
    if not stage and (old := [str(each.prefix) for each in wanted.prefixes if each.old_origin]):
        raise ConflictError(
            f"{', '.join(old)} have an old_origin: havre network migrate brings them over gate by gate; once that is"
            " done take the old_origin out of the tree, or name the --stage that you want at once"
        )
    edges = Edges(wanted, folder, clock)
    try:
        lists = lists if lists is not None else await evidence.lists_of(wanted, folder, clock=clock)
        words = f"{file.name}{f' at {stage}' if stage else ''}"
        return await edges.push(edges.texts(_posture(wanted, stage), lists), words=words)
    finally:
        await edges.close()


async def preflight_now(file: Path, folder: Path, *, evidence_file: Path | None = None, clock: Clock) -> Report:
    """Every check of preflight on what can be looked at without touching anything. evidence_file: what people know of
    each neighbour's source filter; what it does not say is probed. Raises InvalidError with the mistakes of both."""
    wanted = intent.load(file)
    outbound = told.load(evidence_file, wanted) if evidence_file is not None else {}
    before = Edges(wanted, folder, clock).present()
    return await evidence.everything(wanted, folder, before=before, outbound=outbound, clock=clock)


async def filings_now(file: Path, *, is_cleaning: bool, clock: Clock) -> list[str]:
    """The objects and ROAs that have to be filed, ready to be submitted."""
    return await evidence.filings(intent.load(file), clock=clock, is_cleaning=is_cleaning)


async def versions(file: Path, folder: Path, *, clock: Clock) -> dict[int, str]:
    return Edges(intent.load(file), folder, clock).versions()


async def go_back(file: Path, folder: Path, *, number: int, clock: Clock) -> int:
    """Bring an earlier version out again, as a new one. Raises NotFoundError."""
    edges = Edges(intent.load(file), folder, clock)
    try:
        return await edges.push(edges.version(number), words=f"back to version {number}")
    finally:
        await edges.close()


async def adopt_now(socket: Path | None, *, engine: str = "bird", edge: str, site: str, aut_num: str) -> str:
    """The intent of a running BIRD or FRR, as YAML. socket: BIRD's control socket or the folder of FRR's; None for
    where packages have it."""
    place = socket if socket is not None else PLACES[engine]
    running = Frr(place) if engine == "frr" else Bird(place)
    try:
        seen = await running.sessions()
        sessions = tuple(each for each in seen.values() if each.kind == "BGP")
        exported = {each.name: await running.exported(each.name) for each in sessions if each.is_established}
        told = "" if socket is None else str(socket)
        found = adopt.Found(await running.router_id(), sessions, exported, engine, told)
    finally:
        await running.close()
    return adopt.adopt(found, edge=edge, site=site, aut_num=aut_num)
