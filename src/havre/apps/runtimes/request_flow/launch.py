"""The program that keeps an app and its request flow together inside an instance: POSIX sh, for the root of a sandbox
need not hold more.

Invariants: whatever of the chain ends first, the instance ends, with that one's exit code (never 0 for a part that is
not the app). A SIGTERM is for every process of the instance, and the unit's monitor sends it to each: the launcher
passes none on, or the app would get two. It waits until all have ended; then the code is the app's.
"""

from __future__ import annotations

from havre.apps.runtimes.plan import Plan

PATIENCE_S = 8  # for the others, when one has ended by itself

# Each part runs below a shell that waits for it and writes its end into a pipe of ours, which only these shells and we
# hold; `trap :` in them because a signal must not end the shell before the program it waits for.
LAUNCH = f"""
ends=/tmp/.havre-ends
rm -f "$ends" && mkfifo -m 600 "$ends" && exec 3<> "$ends" && rm -f "$ends" || exit 125
asked='' code='' left=0
trap 'asked=1' TERM
begin() {{
  left=$((left + 1))
  (trap : TERM; /bin/sh -c "$2" 3>&-; printf '%s %s\\n' "$?" "$1" >&3) &
}}
begin 'the app' "$1"
shift
while [ $# -gt 0 ]; do begin "$1" "$2"; shift 2; done
while [ "$left" -gt 0 ]; do
  read -r status name <&3 || continue
  left=$((left - 1))
  if [ -n "$asked" ]; then
    [ "$name" != 'the app' ] || code=${{code:-$status}}
    continue
  fi
  code=$status
  [ "$name" = 'the app' ] || [ "$code" -ne 0 ] || code=1
  echo "Request flow: $name ended with exit code $status, and the instance with it" >&2
  asked=1
  trap '' TERM
  kill -TERM 0
  (sleep {PATIENCE_S}; kill -KILL 0) > /dev/null 2>&1 3>&- &
done
exit "${{code:-0}}"
"""


def launch_argv(plan: Plan, app: str) -> tuple[str, ...]:
    """The arguments of `/bin/sh` that start `app`, a line for the shell, behind the plan's flow."""
    parts = [text for part in plan.flow for text in (part.name, part.start)]
    return ("-c", LAUNCH, "request-flow", app, *parts)
