"""What an instance runs besides the app, and the launcher inside the sandbox that runs it. The page is README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from havre.apps.launch import cron
from havre.apps.launch.model import Launch, Process, Restart
from havre.apps.launch.script import (
    CRON_SERVICE,
    FOLDER,
    OUTCOME,
    SCRIPT,
    becoming,
    plain_line,
    script,
    services,
)
from havre.base.errors import InvalidError

__all__ = [
    "CRON_SERVICE", "FOLDER", "OUTCOME", "SCRIPT", "Launch", "Process", "Restart", "becoming", "cron", "describe",
    "launch_of", "plain_line", "script", "services", "without_hooks", "workers_of",
]  # fmt: skip

MOST_WORKERS = 32
MOST_DELAY_S = 3600.0
_COMMAND = re.compile(r"CC_WORKER_COMMAND(?:_(\d{1,4}))?")


def launch_of(
    *, start: str, env: Mapping[str, str], workers: Sequence[str] = (), cron_text: str | None = None, ends: bool = False
) -> Launch:
    """What an instance runs. start, workers: the plan's lines. cron_text: the app's cron.json. ends: it is a task.

    A task is its command and no more: nothing runs beside it. Raises InvalidError naming the variable or the line.
    """
    beside = () if ends else workers_of(env, workers)
    jobs = () if ends or cron_text is None else cron.parse(cron_text)
    return Launch(
        main=start,
        before=_line(env, "CC_PRE_RUN_HOOK"),
        beside=beside,
        cron=jobs,
        succeeded=_line(env, "CC_RUN_SUCCEEDED_HOOK"),
        failed=_line(env, "CC_RUN_FAILED_HOOK"),
        ends=ends,
    )


def workers_of(env: Mapping[str, str], planned: Sequence[str] = ()) -> tuple[Process, ...]:
    """CC_WORKER_COMMAND, CC_WORKER_COMMAND_0 and so on, then the plan's own, under one policy."""
    asked: dict[int, str] = {}
    for name, line in env.items():
        found = _COMMAND.fullmatch(name)
        if found and line.strip():
            asked[int(found[1]) if found[1] is not None else -1] = line.strip()
    names = {number: "worker" if number < 0 else f"worker-{number}" for number in asked}
    lines = [(names[number], asked[number]) for number in sorted(asked)]
    free = (number for number in range(len(asked) + len(planned) + 1) if number not in asked)
    lines += [(f"worker-{next(free)}", line) for line in planned]
    if not lines:
        return ()
    if len(lines) > MOST_WORKERS:
        raise InvalidError(f"an app may have {MOST_WORKERS} workers (CC_WORKER_COMMAND_…), not {len(lines)}")
    restart, delay_s = _policy(env), _delay_s(env)
    return tuple(Process(name, line, restart, delay_s, f"bas-{name}.service") for name, line in lines)


def _policy(env: Mapping[str, str]) -> Restart:
    asked = env.get("CC_WORKER_RESTART", "").strip() or Restart.ON_FAILURE
    try:
        return Restart(asked)
    except ValueError:
        raise InvalidError(f"CC_WORKER_RESTART={asked} is not one of {', '.join(Restart)}") from None


def _delay_s(env: Mapping[str, str]) -> float:
    asked = env.get("CC_WORKER_RESTART_DELAY", "").strip().removesuffix("s") or "1"
    if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?", asked) or float(asked) > MOST_DELAY_S:
        raise InvalidError(f"CC_WORKER_RESTART_DELAY={asked} is not a number of seconds up to {MOST_DELAY_S:.0f}")
    return float(asked)


def without_hooks(launch: Launch) -> Launch:
    """For an instance that takes the place of one that crashed: the hooks are a deployment's."""
    return Launch(launch.main, launch.before, launch.beside, launch.cron, ends=launch.ends)


def describe(launch: Launch) -> tuple[str, ...]:
    """Lines for the deployment's log about what runs beside the app."""
    said = [f"Worker {each.name}: {each.line} (restart: {each.restart})" for each in launch.beside]
    if launch.cron:
        said.append(f"Cron: {len(launch.cron)} {'job' if len(launch.cron) == 1 else 'jobs'} of {cron.FILE}")
    return tuple(said)


def _line(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip()
