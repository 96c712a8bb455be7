"""What a deployment and a restart take, by the platform's own clock, and the apps that are deployed for that."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from pathlib import Path

from tests.system.rig import NODE_APP, Installation, git, until

BUN_SERVE = 'Bun.serve({ port: 8080, hostname: "0.0.0.0", fetch: () => new Response("hello") })'
KINDS: dict[str, dict[str, str]] = {
    "node": NODE_APP,
    "bun": {
        "package.json": '{"name": "b", "scripts": {"start": "bun server.js"}}',
        "server.js": BUN_SERVE,
    },
    "python": {
        "requirements.txt": "",
        "app.py": "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n",
    },
    "static": {"index.html": "hello"},
}
KIND_ENV = {
    "bun": {"CC_NODE_BUILD_TOOL": "bun"},
    "python": {"CC_PYTHON_MODULE": "app:app", "CC_PYTHON_BACKEND": "gunicorn"},
}
MANY = """for (const d of Array(500).keys()) { fs.mkdirSync(`many/${d}`, { recursive: true });
for (const f of Array(100).keys()) fs.writeFileSync(`many/${d}/${f}`, "x".repeat(100 + (d * f) % 3000)) }"""


def deploy_seconds(havre: Installation, folder: Path, host: str) -> float:
    """Seconds on the platform's side: from the push's receipt to the first 200 of the new version."""
    havre.clever("deploy", "--quiet", "--exit-on", "deploy-start", cwd=folder, check=False)
    sha = git(folder, "rev-parse", "HEAD")
    until(lambda: state(havre, folder, sha) in ("OK", "FAIL"), what="the deployment ends", limit_s=300)
    row = next(each for each in activity(havre, folder) if each["commit"] == sha)
    assert row["state"] == "OK", havre.clever("logs", "--since", "10m", "--until", "0s", cwd=folder).stdout[-2000:]
    assert havre.get(host)[0] == 200
    return took(havre, row["uuid"])


def activity(havre: Installation, folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = havre.clever_json("activity", cwd=folder)
    return found


def state(havre: Installation, folder: Path, sha: str) -> str:
    rows = [each for each in activity(havre, folder) if each["commit"] == sha]
    return rows[-1]["state"] if rows else ""


def took(havre: Installation, deployment: str) -> float:
    """What the platform's own clock says: row written by the push until the switch to a healthy instance."""
    with sqlite3.connect(havre.data / "havre.db") as conn:
        query = """select s.ended_at - o.created_at from op o join op_step s on s.op_id = o.id
                   where s.name = 'switch' and o.args like ?"""
        return float(conn.execute(query, (f"%{deployment}%",)).fetchone()[0]) / 1000


def restart_seconds(havre: Installation, folder: Path) -> float:
    before = {each["uuid"] for each in activity(havre, folder)}
    havre.clever("restart", "--quiet", "--exit-on", "deploy-start", cwd=folder)
    new = lambda: [each for each in activity(havre, folder) if each["uuid"] not in before]  # noqa: E731
    until(lambda: [each for each in new() if each["state"] in ("OK", "FAIL")], what="the restart ends", limit_s=120)
    assert new()[-1]["state"] == "OK"
    return took(havre, new()[-1]["uuid"])


def timed(command: list[str]) -> float:
    """Seconds until the command's files are on the disk."""
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    os.sync()
    return time.monotonic() - began
