"""A git hook: tells the control plane of a push and gives its answer to the person who pushes.

Run by git as `pre-receive` and `post-receive` (githooks(5)); standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys

ANSWER_S = 120
SILENT = {
    "pre-receive": "Havre did not answer, so nothing was changed: push again",
    "post-receive": "The commit is stored; Havre did not answer and deploys it as soon as it is back",
}


def main(name):
    updates = [line.split() for line in sys.stdin.read().splitlines() if line.strip()]
    folder = os.path.abspath(os.environ.get("GIT_DIR", "."))
    question = {"hook": name, "push": os.environ.get("HAVRE_PUSH", ""), "updates": updates, "git_dir": folder}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(ANSWER_S)
            asking.connect(os.environ["HAVRE_HOOKS_SOCKET"])
            asking.sendall(json.dumps(question).encode() + b"\n")
            said = b""
            while not said.endswith(b"\n"):
                part = asking.recv(65536)
                if not part:
                    break
                said += part
        answer = json.loads(said)
        lines, ok = answer["lines"], answer["ok"]
    except (OSError, KeyError, ValueError):
        lines, ok = [SILENT.get(name, SILENT["pre-receive"])], False
    for line in lines:
        print(line, file=sys.stderr)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
