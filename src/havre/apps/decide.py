"""Pure decisions of the apps room: which instances to replace, which units are nobody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from havre.apps.model import Instance, InstanceState
from havre.apps.runtimes.plan import is_true
from havre.governance import Actor
from havre.kernel.units import Unit

BACKOFF_FIRST_MS = 500
BACKOFF_MOST_MS = 60_000
CRASH_WINDOW_MS = 600_000
STACK_GRACE_MS = 7_200_000


@dataclass(frozen=True, slots=True)
class Replace:
    """The instance's unit has ended, was never there, or hangs: take another in its place.

    crashed: it ended by itself. hung: why it is taken away while it runs; empty: it does not run.
    """

    instance: Instance
    crashed: bool
    hung: str = ""


@dataclass(frozen=True, slots=True)
class Admit:
    """The instance serves and its unit does not accept, or not knowing of its `peers`: tell it again."""

    instance: Instance
    peers: int


@dataclass(frozen=True, slots=True)
class Remove:
    """A unit that no instance and no operation wants."""

    unit: Unit


@dataclass(frozen=True, slots=True)
class Wait:
    """An app crashes too often: its next start comes in `ms`."""

    app_id: str
    ms: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A stack on disk as its collection sees it. packages: the names of their files, shared with other stacks."""

    id: str
    used_at: int
    packages: frozenset[str]


Step = Replace | Admit | Remove | Wait


def is_task(lifetime: str, env: Mapping[str, str]) -> bool:
    """Whether an app is a command that runs once and ends: by how it was created, or by CC_TASK."""
    return lifetime == "TASK" or is_true(env.get("CC_TASK"))


def decide_instances(
    wanted: Sequence[Instance],
    seen: Sequence[Unit],
    *,
    now: int,
    busy: frozenset[str],
    crashes: Mapping[str, Sequence[int]],
    hung: Mapping[str, str] | None = None,
    booting: frozenset[str] = frozenset(),
) -> tuple[Step, ...]:
    """Return the steps that make the serving instances live and take away what is nobody's.

    busy: apps with an operation under way, which owns their units: nothing of them is touched.
    crashes: for each app, the moments of its recent crashes, oldest first. A start after the n-th crash waits
    twice as long as after the one before, from half a second to a minute. hung: instances that do not answer, and what
    was seen of them. booting: instances that somebody starts and has not admitted yet: theirs alone.
    """
    hung = hung or {}
    up = Counter(each.app_id for each in wanted if each.state is InstanceState.UP)
    units = {str(unit.id): unit for unit in seen}
    steps: list[Step] = []
    for instance in wanted:
        if instance.app_id in busy or instance.state is not InstanceState.UP or instance.id in booting:
            continue
        unit = units.get(instance.id)
        if unit is None or unit.state == "exited":
            crashed = unit is not None and unit.exit is not None and unit.exit.was_seen
            left = pause_ms(crashes.get(instance.app_id, ()), now=now)
            steps.append(Wait(instance.app_id, left) if left > 0 and crashed else Replace(instance, crashed))
        elif instance.id in hung:
            left = pause_ms(crashes.get(instance.app_id, ()), now=now)
            steps.append(Wait(instance.app_id, left) if left > 0 else Replace(instance, False, hung[instance.id]))
        elif unit.state == "running":
            peers = up[instance.app_id] - 1
            if not unit.accepting or unit.peers != peers:
                steps.append(Admit(instance, peers))
    kept = {str(instance.id) for instance in wanted}
    steps += [Remove(unit) for unit in seen if unit.id not in kept and unit.labels.get("app") not in busy]
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Pressure:
    """What one instance presses against: how often its output was slowed and a process refused, since its start;
    whether it has all the processes, bytes, files and connections (to it, and out of it) that it may have, or more
    memory than it may."""

    slowed: int = 0
    forks_refused: int = 0
    is_crowded: bool = False
    is_full: bool = False
    has_all_files: bool = False
    is_large: bool = False
    is_beset: bool = False
    is_out: bool = False


def decide_strains(before: Pressure, now: Pressure) -> tuple[str, ...]:
    """The bounds that an instance has come up against since the last look."""
    crowded = now.forks_refused > before.forks_refused or (now.is_crowded and not before.is_crowded)
    found = {
        "output": now.slowed > before.slowed,
        "processes": crowded,
        "bytes": now.is_full and not before.is_full,
        "files": now.has_all_files and not before.has_all_files,
        "memory": now.is_large and not before.is_large,
        "connections": now.is_beset and not before.is_beset,
        "way out": now.is_out and not before.is_out,
    }
    return tuple(name for name, is_new in found.items() if is_new)


def is_hung(failures: int, *, most: int) -> bool:
    """Whether so many failures in a row are a verdict."""
    return failures >= most


def pause_ms(crashes: Sequence[int], *, now: int) -> int:
    """How long the next start still has to wait, in ms; 0 or less: not at all.

    A crash that is still to come was before somebody set the clock back: nobody waits for that moment.
    """
    recent = [at for at in crashes if 0 <= now - at < CRASH_WINDOW_MS]
    if len(recent) < 2:
        return 0
    return recent[-1] + min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * int(2 ** min(len(recent), 12))) - now


def decide_releases(built: Sequence[tuple[str, str]], *, used: frozenset[str], keep: int) -> tuple[str, ...]:
    """Which releases to delete: of each app all but the used and `keep` more. `built`: newest first."""
    spare: dict[str, int] = {}
    gone = []
    for app_id, release_id in built:
        if release_id in used:
            continue
        spare[app_id] = spare.get(app_id, 0) + 1
        if spare[app_id] > keep:
            gone.append(release_id)
    return tuple(gone)


def decide_stacks(
    held: Sequence[Holding],
    weights: Mapping[str, int],
    *,
    used: frozenset[str],
    now: int,
    kept_ms: int,
    limit_bytes: int,
) -> tuple[str, ...]:
    """Which stacks to remove: of those that nobody needs, the idle for longer than `kept_ms`, and then, while all
    together weigh more than `limit_bytes`, the longest idle.

    weights: what each package takes on disk; stacks that have it share it. One that somebody took up a moment ago
    stays, whatever the limit: its deployment has not said yet that it needs it.
    """
    spare = sorted((each for each in held if each.id not in used), key=lambda each: (each.used_at, each.id))
    gone = [each.id for each in spare if now - each.used_at > max(kept_ms, STACK_GRACE_MS)]
    for each in spare:
        left = {name for other in held if other.id not in gone for name in other.packages}
        if sum(weights.get(name, 0) for name in left) <= limit_bytes:
            break
        if each.id not in gone and now - each.used_at > STACK_GRACE_MS:
            gone.append(each.id)
    return tuple(gone)


def cause_of(actor: Actor) -> str:
    """Through what somebody asked, as the contract's `cause`: the console, the stock command line, or a program."""
    if actor.via == "session":
        return "Console"
    return "CLI" if actor.via == "oauth" and actor.grants is None else "API"
