"""The launcher: a program for /bin/sh inside the sandbox, made from a Launch. Pure.

The app is its child and its end is the app's: the same exit status, and all beside it is told to end and then gone
with the sandbox. The engine tells the processes of a unit of SIGTERM, so nothing is passed on here; a launcher that
was told starts nothing again. POSIX sh, `date`, `sleep` and `timeout`: what every root has (docs/decisions, the
launcher).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from havre.apps.launch.cron import Field, Job
from havre.apps.launch.model import Launch, Process

FOLDER = "/opt/havre/launch"
SCRIPT = "start.sh"
OUTCOME = "outcome"  # a pipe: the control plane says here once how the start ended, `succeeded` or `failed`
CRON_SERVICE = "bas-cron.service"
MORE_SERVICE = "bas-workers.service"
FIRST_FD, MOST_SERVICES = 3, 7  # a POSIX shell redirects descriptors of one digit
END_S = 3  # what runs beside an app that has ended by itself may take so long
HOOK_S = 60  # the hook of a failed start holds up the end of the deployment

_SHELL = set("&|;<>()`\n")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_BUILTIN = frozenset(
    {".", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "set", "source", "trap", "ulimit", "umask",
     "until", "wait", "while", "{", "!"}
)  # fmt: skip

PRELUDE = """#!/bin/sh
stopping= told= late= main= beside= hearer=
trap 'stopping=1' TERM
trap 'told=1' USR1
trap 'stopping=1 late=1; [ -z "$main" ] || kill -TERM "$main" 2>/dev/null' USR2
say() { printf 'havre: %s\\n' "$*"; }
# the exit status of process $1 is in `code`, however often a signal interrupts the wait
settle() {
  while :; do
    wait "$1" 2>/dev/null
    code=$?
    kill -0 "$1" 2>/dev/null || return 0
  done
}
"""
KEEP = """
# $1 name, $2 when to start it again, $3 after how many seconds, $4 the line
keep() {
  child=
  trap 'stopping=1' TERM
  trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' USR1
  while [ -z "$stopping" ]; do
    /bin/sh -c "$4" </dev/null &
    child=$!
    [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null
    settle "$child"
    [ -z "$stopping" ] || break
    case $2 in
      always) ;;
      on-failure) [ "$code" -ne 0 ] || { say "$1 has ended"; break; } ;;
      *) say "$1 ended with exit code $code"; break ;;
    esac
    say "$1 ended with exit code $code; it is started again in $3 s"
    sleep "$3" &
    child=$!
    settle "$child"
  done
  exit 0
}
"""
CRON = """
is() { case " $2 " in *" $1 "*) return 0 ;; esac; return 1; }
# $1 the line, $2 its input
job() {
  alive= count=0
  for each in $running; do
    if kill -0 "$each" 2>/dev/null; then alive="$alive $each" count=$((count + 1)); fi
  done
  running=$alive
  if [ "$count" -ge 20 ]; then say "not started, as 20 jobs still run: $1"; return 0; fi
  (
    if [ -n "$2" ]; then printf '%s' "$2" | /bin/sh -c "$1"; else /bin/sh -c "$1" </dev/null; fi
    code=$?
    [ "$code" -eq 0 ] || say "ended with exit code $code: $1"
  ) &
  running="$running $!"
}
cron() {
  nap= running=
  trap 'stopping=1; [ -z "$nap" ] || kill "$nap" 2>/dev/null' TERM USR1
  ROOT=$APP_ROOT
  export ROOT
  last=$(($(date +%s) / 60))
  at_start
  while [ -z "$stopping" ]; do
    sleep $((60 - $(date +%s) % 60)) &
    nap=$!
    # told before `nap` was known, or before it could be told itself: nobody waits for it
    while [ -z "$stopping" ] && kill -0 "$nap" 2>/dev/null; do wait "$nap" 2>/dev/null; done
    [ -z "$stopping" ] || { kill "$nap" 2>/dev/null; break; }
    now=$(($(date +%s) / 60))
    [ $((now - last)) -le 5 ] || last=$((now - 1))
    [ $((last - now)) -le 5 ] || last=$now
    while [ "$last" -lt "$now" ]; do
      last=$((last + 1))
      # shellcheck disable=SC2046 - five words
      due $(date -u -d "@$((last * 60))" '+%-M %-H %-d %-m %w')
    done
  done
  for each in $running; do settle "$each"; done
  exit 0
}
"""
HEAR = """
hear() {
  read -r outcome < "$1" || exit 0
  kill -USR1 $$
  if [ "$outcome" = succeeded ]; then
    succeeded
  else
    failed
    kill -USR2 $$
  fi
}
"""
ENDING = f"""
# $1 the status of the instance
finish() {{
  [ -z "$hearer" ] || kill -TERM "$hearer" 2>/dev/null
  for each in $beside; do kill -USR1 "$each" 2>/dev/null; done
  [ -n "$stopping" ] || [ -z "$beside" ] || {{ (sleep {END_S}; kill -USR2 $$) & }}
  for each in $beside; do
    while [ -z "$late" ] && kill -0 "$each" 2>/dev/null; do wait "$each" 2>/dev/null; done
  done
  exit "$1"
}}
"""


def services(launch: Launch) -> tuple[str, ...]:
    """The services whose output has a file of its own; the n-th is written to descriptor FIRST_FD + n."""
    found = [CRON_SERVICE] if launch.cron else []
    own = list(dict.fromkeys(each.service for each in launch.beside if each.service))
    room = MOST_SERVICES - len(found)
    return tuple([*found, *(own if len(own) <= room else [*own[: room - 1], MORE_SERVICE])])


def _output(launch: Launch, service: str) -> str:
    """The redirection for a service's output."""
    known = services(launch)
    if not service:
        return ""
    return f" >&{FIRST_FD + known.index(service if service in known else MORE_SERVICE)} 2>&1"


def becoming(line: str) -> str:
    """The line in a form in which a plain command takes the shell's place, so that SIGTERM reaches it."""
    words = line.split(maxsplit=1)
    first = words[0] if words else ""
    if any(char in _SHELL for char in line) or first in _BUILTIN:
        return line
    return f"exec env {line}" if _ASSIGNMENT.match(first) else f"exec {line}"


def plain_line(launch: Launch) -> str:
    """The shell's line of an instance that needs no launcher: the pre-run hook, then the app."""
    line = becoming(launch.main)
    return f"/bin/sh -c {shlex.quote(launch.before)} || exit $?\n{line}" if launch.before else line


def script(launch: Launch) -> str:
    """The launcher's text, for FOLDER/SCRIPT."""
    has_hooks = bool(launch.succeeded or launch.failed)
    return "".join(
        [
            PRELUDE,
            KEEP if launch.beside else "",
            f"{CRON}{_due(launch.cron)}" if launch.cron else "",
            _hooks(launch) if has_hooks else "",
            HEAR if launch.hears else "",
            ENDING,
            f"\nhear {FOLDER}/{OUTCOME} &\nhearer=$!\n" if launch.hears else "\n",
            *_main(launch, has_hooks=has_hooks),
        ]
    )


def _main(launch: Launch, *, has_hooks: bool) -> Iterator[str]:
    on_end = 'outcome_of "$code"' if has_hooks else ":"
    if launch.before:
        yield f'/bin/sh -c {shlex.quote(launch.before)} </dev/null &\nmain=$!\nsettle "$main"\nmain=\n'
        yield f'[ "$code" -eq 0 ] || {{ {on_end}; finish "$code"; }}\n'
    yield '[ -z "$stopping" ] || finish 143\n'
    for process in launch.beside:
        yield f"{_kept(process)}{_output(launch, process.service)} &\n" + 'beside="$beside $!"\n'
    if launch.cron:
        yield f"cron{_output(launch, CRON_SERVICE)} &\n" + 'beside="$beside $!"\n'
    closed = "".join(f" {FIRST_FD + number}>&-" for number in range(len(services(launch))))
    yield f"/bin/sh -c {shlex.quote(becoming(launch.main))} </dev/null{closed} &\nmain=$!\n"
    yield '[ -z "$stopping" ] || kill -TERM "$main" 2>/dev/null\n'
    yield f'settle "$main"\nmain=\nstatus=$code\n{on_end}\nfinish "$status"\n'


def _kept(process: Process) -> str:
    words = (process.name, process.restart.value, f"{process.delay_s:g}", becoming(process.line))
    return f"keep {shlex.join(words)}"


def _hooks(launch: Launch) -> str:
    """The hooks as functions; a failing one is told and changes nothing. `outcome_of`: which one an end calls for."""
    failed = _hook(launch.failed, "CC_RUN_FAILED_HOOK", f"timeout -k 5 {HOOK_S} ")
    text = f"succeeded() {{{_hook(launch.succeeded, 'CC_RUN_SUCCEEDED_HOOK', '')}}}\nfailed() {{{failed}}}\n"
    ended = '[ "$1" -ne 0 ] || { succeeded; return 0; }; ' if launch.ends else ""
    return f'\n{text}outcome_of() {{ [ -z "$stopping$told" ] || return 0; {ended}failed; }}\n'


def _hook(line: str, name: str, bound: str) -> str:
    if not line:
        return " :; "
    return (
        f"\n  {bound}/bin/sh -c {shlex.quote(line)} </dev/null\n  ended=$?\n"
        f'  [ "$ended" -eq 0 ] || say "{name} failed with exit code $ended"\n'
    )


def _due(jobs: tuple[Job, ...]) -> str:
    """The functions `due MINUTE HOUR DAY MONTH WEEKDAY` and `at_start`, which start what is to be started."""
    lines = [f"  job {shlex.quote(each.line)} {shlex.quote(each.stdin)}" for each in jobs]
    first = [line for each, line in zip(jobs, lines, strict=True) if each.at_start]
    timed = [
        f"  if {_when(each)}; then{line[1:]}; fi" for each, line in zip(jobs, lines, strict=True) if not each.at_start
    ]
    return "\n".join(["due() {", *(timed or ["  :"]), "}", "at_start() {", *(first or ["  :"]), "}", ""])


def _when(job: Job) -> str:
    """The condition of a job's minute. A day that is restricted twice is met by either (crontab(5))."""
    tests = [_test(1, job.minute, 60), _test(2, job.hour, 24), _test(4, job.month, 12)]
    day, weekday = _test(3, job.day, 31), _test(5, job.weekday, 7)
    if day and weekday and not (job.day.is_any or job.weekday.is_any):
        tests.append(f"{{ {day} || {weekday}; }}")
    else:
        tests += [day, weekday]
    return " && ".join(each for each in tests if each) or ":"


def _test(position: int, field: Field, size: int) -> str:
    if len(field.numbers) == size:
        return ""
    return f"is \"${position}\" '{' '.join(str(each) for each in sorted(field.numbers))}'"
