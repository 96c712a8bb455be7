"""The program that keeps an app and its request flow together inside an instance: POSIX sh, for the root of a sandbox
need not hold more.

Invariants: whatever of the chain ends first, the instance ends, with that one's exit code (never 0 for a part that is
not the app). A SIGTERM is for every process of the instance, and the unit's monitor sends it to each: the launcher
passes none on, or the app would get two. It waits until all have ended; then the code is the app's.
"""

from __future__ import annotations

import shlex

from havre.apps.launch import becoming
from havre.apps.runtimes.plan import Plan

PATIENCE_S = 8  # for the others, when one has ended by itself; what is left then goes with the sandbox

# Each part runs below a shell that waits for it and writes its end into a pipe of ours, which only these shells and we
# hold. SIGTERM must not end such a shell before its program; SIGUSR1 is our word to tell the program.
LAUNCH = f"""
ends=/tmp/.havre-ends
rm -f "$ends" && mkfifo -m 600 "$ends" && exec 3<> "$ends" && rm -f "$ends" || exit 125
asked='' code='' left=0 parts=''
trap 'asked=1' TERM
trap '' USR1
part() {{
  child=
  trap : TERM
  trap '[ -z "$child" ] || kill -TERM "$child"' USR1
  /bin/sh -c "$2" < /dev/null 3>&- &
  child=$!
  while wait "$child" 2> /dev/null; status=$?; kill -0 "$child" 2> /dev/null; do :; done
  child=
  printf '%s %s\\n' "$status" "$1" >&3
}}
begin() {{
  left=$((left + 1))
  part "$1" "$2" &
  parts="$parts $!"
}}
begin 'the app' "$1"
shift
while [ $# -gt 0 ]; do begin "$1" "$2"; shift 2; done
while [ "$left" -gt 0 ]; do
  read -r status name <&3 || continue
  [ "$name" != patience ] || break
  left=$((left - 1))
  if [ -n "$asked" ]; then
    [ "$name" != 'the app' ] || code=${{code:-$status}}
    continue
  fi
  code=$status
  [ "$name" = 'the app' ] || [ "$code" -ne 0 ] || code=1
  echo "Request flow: $name ended with exit code $status, and the instance with it" >&2
  asked=1
  for each in $parts; do kill -USR1 "$each" 2> /dev/null; done
  (sleep {PATIENCE_S}; echo '0 patience' >&3) > /dev/null 2>&1 &
done
exit "${{code:-0}}"
"""


def start_line(plan: Plan) -> str:
    """The line for the shell that becomes the app, or what keeps it together with its request flow."""
    if not plan.flow:
        return plan.start
    parts = [text for part in plan.flow for text in (part.name, part.start)]
    return shlex.join(("exec", "/bin/sh", "-c", LAUNCH, "request-flow", becoming(plan.start), *parts))
