"""The console's figures: what a page weighs, how soon it is there, how long the build takes, what open pages cost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.wire import Api, _stream, pss_mb
from tests.system.console_rig import Tab, desk
from tests.system.rig import Installation

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "src" / "havre" / "console" / "web"
PAGES = {"overview": "", "activity": "/activity", "logs": "/logs", "variables": "/environment-variables",
         "domains": "/domain-names", "settings": "/settings"}  # fmt: skip
APPS, OPEN_PAGES = 50, 20
SHOWN = "main .page .panel, main .page .rows, main cc-env-var-form"
READY = """
const look = () => {
  if (document.querySelector('main .page .panel, main .page .rows')) window.__ready = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def build_seconds() -> float:
    node = sorted((ROOT / ".venv/share/havre/toolchains").glob("node-*"))[-1]
    command = [str(node / "bin/node"), "node_modules/vite/bin/vite.js", "build"]
    with tempfile.TemporaryDirectory() as out:
        env = os.environ | {"HAVRE_CONSOLE_OUT": f"{out}/web", "PATH": f"{node / 'bin'}:{os.environ['PATH']}"}
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT / "console", env=env, check=True, capture_output=True)
        return time.monotonic() - began


def pages(havre: Installation) -> tuple[dict[str, float], float]:
    """Kilobytes (gzip) that a first visit loads, page by page; seconds until an overview shows, among many apps."""
    api = Api(havre)
    made = [
        json.loads(api.ask("POST", "/v2/self/applications", {"name": f"app {number}", "instanceType": "node"}))
        for number in range(APPS)
    ]
    base = f"/organisations/{made[0]['ownerId']}/applications/{made[0]['id']}"
    with desk(havre) as before:
        weights = {"applications": weight(before.operator(), base.partition("/applications")[0])}
        weights |= {name: weight(before.operator(), base + path) for name, path in PAGES.items()}
        return weights, statistics.median(ready_s(before.operator(), base) for _ in range(3))


def weight(tab: Tab, path: str) -> float:
    """Of what the page asked for, the compressed files; the browser had nothing of it."""
    asked: set[str] = set()
    browser = tab.page.context.browser
    assert browser is not None
    context = browser.new_context(ignore_https_errors=True, storage_state=tab.page.context.storage_state())
    page = context.new_page()
    page.on("request", lambda each: asked.add(each.url))
    page.goto(tab.origin + path)
    page.locator(SHOWN).first.wait_for()
    page.wait_for_timeout(1500)
    names = {found[1] for each in asked if (found := re.search(r"/(assets/[^?]+)", each))}
    total = sum(size(WEB / name) for name in names) + size(WEB / "index.html")
    context.close()
    return total / 1000


def size(file: Path) -> int:
    packed = file.with_name(file.name + ".gz")
    return packed.stat().st_size if packed.exists() else file.stat().st_size


def ready_s(tab: Tab, path: str) -> float:
    """From the navigation until the page shows what it is for, with its files in the cache."""
    tab.open(path)
    tab.page.add_init_script(READY)
    tab.page.goto(tab.origin + path)
    tab.page.locator(SHOWN).first.wait_for()
    found: float = tab.page.evaluate("window.__ready")
    return found / 1000


def open_pages_mb(havre: Installation) -> float:
    """What twenty open pages of logs add to the control plane: each has a stream of lines and one of changes."""
    return asyncio.run(_open(Api(havre)))


async def _open(api: Api) -> float:
    app = json.loads(api.ask("POST", "/v2/self/applications", {"name": "watched", "instanceType": "node"}))
    logs = f"/v4/logs/organisations/{app['ownerId']}/applications/{app['id']}/logs"
    before = pss_mb(api.pid)
    streams = [await _stream(api, path) for _ in range(OPEN_PAGES) for path in (logs, "/v2/havre/changes")]
    await asyncio.sleep(6)  # each has had its heartbeat
    added = pss_mb(api.pid) - before
    for _, writer in streams:
        writer.close()
    return added
