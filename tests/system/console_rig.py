"""Somebody at a real browser, Debian's Chromium, before the console of a real installation.

Everything that a page does against the rules is counted: violations of the content security policy, requests to anybody
else, errors that no code caught.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.system.browser import credentials
from tests.system.cell import relay
from tests.system.rig import Installation

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = os.environ.get("HAVRE_SCREENSHOTS", "")
WAIT_MS = 60_000
FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-default-apps --no-default-browser-check --disable-dev-shm-usage"""
RESOLVER = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost, EXCLUDE 127.0.0.1"
WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', event =>
  window.__violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""
expect.set_options(timeout=WAIT_MS)


def chromium() -> str:
    """Where it is; the test that needs it is skipped where it is nowhere."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine: as root, make setup installs it (apt install chromium)")
    return found


@dataclass
class Tab:
    """One page of a browser that somebody is signed in at."""

    havre: Installation
    page: Page
    outside: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.havre.https_port}"

    def watch(self) -> None:
        """Count what a page may not do."""
        ours = (self.origin, "data:", "blob:", "about:")
        self.page.on("request", lambda asked: None if asked.url.startswith(ours) else self.outside.append(asked.url))
        self.page.on("console", lambda said: self.broken.append(said.text) if "Unknown tr" in said.text else None)
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.add_init_script(WATCH)

    def sign_in(self, *, email: str, password: str, at: str = "/") -> None:
        self.page.goto(self.origin + at)
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.settle()

    def open(self, path: str) -> None:
        self.page.goto(self.origin + path)
        self.settle()

    def settle(self) -> None:
        """Return when the page shows what it is for."""
        self.page.locator("main h1").wait_for(timeout=WAIT_MS)
        expect(self.page.locator("main .page > .skeleton")).to_have_count(0)

    def go(self, section: str) -> None:
        """By the way around, as a person goes."""
        self.page.get_by_role("navigation", name="Sections").get_by_role("link", name=section, exact=True).click()
        self.settle()

    def press(self, button: Locator, *, then: Locator) -> None:
        """Press, and again when the machine's network changed under the request (namespaces come and go here)."""
        away = self.page.get_by_text("Havre does not answer right now")
        for _ in range(5):
            button.click()
            expect(then.or_(away).first).to_be_visible()
            if not away.first.is_visible():
                break
            expect(away.first).to_be_hidden()
        expect(then.first).to_be_visible()

    def make(self, path: str, body: dict[str, Any], *, method: str = "POST") -> str:
        """Ask the API as the page does; returns the id of what was made."""
        ask = """([path, body, method]) => fetch(path, { method, body: JSON.stringify(body),
            headers: { 'X-Havre-Console': '1', 'Content-Type': 'application/json' } }).then(answer => answer.json())"""
        found = self.page.evaluate(ask, [path, body, method])
        assert "id" in found, found
        return str(found["id"])

    def node_app(self, name: str) -> dict[str, Any]:
        """What makes the smallest application."""
        products = self.page.evaluate("fetch('/v2/products/instances').then(answer => answer.json())")
        node = next(each for each in products if each["variant"]["slug"] == "node")
        sizes = {"minFlavor": "XS", "maxFlavor": "XS", "minInstances": 1, "maxInstances": 1}
        return {"name": name, "instanceType": "node", "instanceVariant": node["variant"]["id"], "zone": "par", **sizes}

    def violations(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.__violations")
        return found

    def axe(self, rule: str = "") -> list[str]:
        """What axe finds against WCAG 2.1 A and AA, or one rule, as `rule: element`."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        tags = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        asked = {"runOnly": {"type": "rule", "values": [rule]} if rule else tags}
        found: Any = self.page.evaluate("asked => axe.run(document, asked)", asked)
        return [
            f"{each['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    def shot(self, name: str) -> None:
        """A picture for the documents, when they are asked for."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(300)  # what fades in has faded in
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@dataclass
class Desk:
    """Browsers before one installation."""

    havre: Installation
    browser: Browser
    kept: Any = None  # the operator's session

    def tab(self, *, language: str = "en-GB", state: Any = None) -> Tab:
        context: BrowserContext = self.browser.new_context(
            storage_state=state,
            ignore_https_errors=True,
            viewport={"width": 1280, "height": 860},
            locale=language,
            reduced_motion="reduce",
        )
        context.set_default_timeout(WAIT_MS)
        made = Tab(self.havre, context.new_page())
        made.watch()
        return made

    def operator(self, *, language: str = "en-GB", again: bool = False) -> Tab:
        """again: signed in once more, instead of in the session that the others share."""
        made = self.tab(language=language, state=None if again else self.kept)
        if again or self.kept is None:
            made.sign_in(**credentials(self.havre))
            self.kept = self.kept or made.page.context.storage_state()
        else:
            made.open("/")
        return made


@contextmanager
def desk(havre: Installation) -> Iterator[Desk]:
    program = chromium()
    with sync_playwright() as playwright, _cell(program, havre.https_port) as cell:
        browser = playwright.chromium.launch(executable_path=cell, args=[*FLAGS.split(), RESOLVER])
        try:
            yield Desk(havre, browser)
        finally:
            browser.close()


@contextmanager
def _cell(program: str, port: int) -> Iterator[str]:
    """What starts the browser where it reaches one port and nothing else; see cell.py."""
    with tempfile.TemporaryDirectory(prefix="hvb", dir="/tmp") as folder:
        path, start = f"{folder}/s", Path(folder) / "browser"
        arguments = [sys.executable, str(Path(__file__).with_name("cell.py")), path, str(port)]
        tried = subprocess.run([*arguments, "/bin/true"], capture_output=True, text=True)
        if tried.returncode != 0:  # this machine gives nobody a namespace: the machine's own network it is
            yield program
            return
        start.write_text(f'#!/bin/sh\nexec {shlex.join([*arguments, program])} "$@"\n')
        start.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(path)
            listening.listen(128)
            threading.Thread(target=_hand_on, args=(listening, port), daemon=True).start()
            yield str(start)


def _hand_on(listening: socket.socket, port: int) -> None:
    while True:
        try:
            inside, _ = listening.accept()
        except OSError:
            return
        try:
            outside = socket.create_connection(("127.0.0.1", port), timeout=30)
        except OSError:
            inside.close()
            continue
        outside.settimeout(None)
        threading.Thread(target=relay, args=(inside, outside), daemon=True).start()


def owner_of(path: str) -> str:
    """The address of the organisation that an application's address is in."""
    return path.partition("/applications")[0]


def app_in(url: str) -> str:
    found = re.search(r"/applications/(app_[0-9a-f-]+)", url)
    assert found is not None, url
    return found[1]
