"""Where the rows of the command line are tried: an installation, a mail server, a sink for hooks, one folder a lane."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.system import browser
from tests.system.cli_rows import ORGANISATION, ROWS, Row
from tests.system.rig import NODE_APP, Installation, commit, git, until, write_files

SHOWN_AGAIN = b"\x1b[?25h"  # the cursor, when a prompt was answered


@dataclass(frozen=True)
class Outcome:
    code: int
    said: str


class Sink:
    """An HTTP server that takes everything and remembers it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        self.answers = 200
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                sink.got.append((self.path, self.headers.get("authorization", ""), body))
                self.send_response(sink.answers)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Bench:
    """Tries the rows of each lane in order; lanes run beside each other. with_more: T2's further lines, too."""

    havre: Installation
    sink: Sink
    mail: browser.Mailbox
    rows: tuple[Row, ...] = ROWS
    with_more: bool = True
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shell = self.havre.environment() | {"CI": "1"}
        place = Path(tempfile.mkdtemp(prefix="havre-browser-"))  # BROWSER may not hold a space
        self.opened, script = place / "opened", place / "browser.sh"
        script.write_text(f'#!/bin/sh\necho "$1" >> {shlex.quote(str(self.opened))}\n')
        script.chmod(0o755)
        self.shell["BROWSER"] = str(script)
        ssh = place / "ssh"  # the stock client, with a list of known hosts of this test
        known = f"-o UserKnownHostsFile={place / 'known_hosts'} -o StrictHostKeyChecking=accept-new"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F /dev/null {known} "$@"\n')
        ssh.chmod(0o755)
        self.shell["PATH"] = f"{place}:{self.shell['PATH']}"
        self.operator = browser.credentials(self.havre)
        self.kept |= {"api": self.shell["API_HOST"], "sink": self.sink.url}
        self.kept["key"] = str(self.havre.base / "id_ed25519")

    def run(self) -> None:
        lanes = list(dict.fromkeys(row.lane for row in self.rows))
        threads = [threading.Thread(target=self._lane, args=(lane,)) for lane in lanes]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _lane(self, lane: str) -> None:
        names = {"app": "shop", ORGANISATION: "stall"}
        folder = self.havre.new_repository(names[lane]) if lane in names else self.havre.base / f"lane-{lane}"
        folder.mkdir(exist_ok=True)
        env = dict(self.shell) | {"HOME": str(self.havre.base / f"home-{lane}")}
        if lane == "account":
            env = {name: value for name, value in env.items() if name not in ("CLEVER_TOKEN", "CLEVER_SECRET")}
        if lane == "clusters":
            for each in ("k8s", "ng"):
                self._say(f"features enable {each}", folder, env)
        if lane in ("operators", "addons"):
            for each in ("operators", "kv"):
                self._say(f"features enable {each}", folder, env)
        for row in self.rows:
            if row.lane == lane:
                self.outcomes[row.key] = self._row(row, folder, env)

    def _row(self, row: Row, folder: Path, env: dict[str, str]) -> list[Outcome]:
        try:
            if row.before and not row.refuses:
                prepare: Callable[[Path, dict[str, str]], None] = getattr(self, row.before)
                prepare(folder, env)
            if row.said == "password":
                found = [self._say_at_a_terminal(row.line, folder, env, self.operator["password"])]
            else:
                found = [self._say(row.line, folder, env, row.said)]
            if row.keep is not None and (match := re.search(row.keep[1], found[0].said)):
                self.kept[row.keep[0]] = match[1]
            if not row.refuses and (self.with_more or row.tier == "T1"):
                found += [self._say(each, folder, env, row.said) for each in row.more]
            return found
        except Exception as error:  # what a row does before it must not end its lane
            return [Outcome(-1, repr(error))]

    def _say(self, line: str, folder: Path, env: dict[str, str], said: str = "") -> Outcome:
        argv = [_filled(each, self.kept) for each in shlex.split(line)]
        done = subprocess.run(
            ["clever", *argv], cwd=folder, env=env, input=said, capture_output=True, text=True, timeout=150
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def _say_at_a_terminal(self, line: str, folder: Path, env: dict[str, str], password: str) -> Outcome:
        """A command that asks for a password, which a person types when they are asked."""
        argv = [_filled(each, self.kept) for each in shlex.split(line)]
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["clever", *argv], cwd=folder, env=env, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        os.close(slave)
        assert process.stdout is not None
        giving_up = threading.Timer(150, process.kill)
        giving_up.start()
        try:
            asked = b""
            while b"password:" not in asked and (part := process.stdout.read1()):  # type: ignore[attr-defined]
                asked += part
            os.write(master, password.encode() + b"\r")
            said = process.stdout.read().rpartition(SHOWN_AGAIN)[2].decode()
            return Outcome(process.wait(), said)
        finally:
            giving_up.cancel()
            process.stdout.close()
            os.close(master)

    # what rows ask for before they are tried

    def organisation(self, folder: Path, env: dict[str, str]) -> None:
        said = shlex.quote(json.dumps({"name": "Market", "description": ""}))
        made = self._say(
            f"curl -X POST -H content-type:application/json -d {said} {{api}}/v2/organisations", folder, env
        )
        assert made.code == 0, made.said

    def sign_in_in_the_browser(self, _folder: Path, _env: dict[str, str]) -> None:
        def person() -> None:
            url = until(lambda: self._asked("/cli-oauth"), what="the browser is sent to the sign-in page")
            with browser.Browser(self.havre) as page:
                page.allow_cli(url, **self.operator)

        threading.Thread(target=person, daemon=True).start()

    def second_profile(self, folder: Path, env: dict[str, str]) -> None:
        pair = f"--token {self.shell['CLEVER_TOKEN']} --secret {self.shell['CLEVER_SECRET']}"
        self._say(f"login --alias second {pair}", folder, env)

    def _asked(self, path: str) -> str:
        lines = self.opened.read_text().splitlines() if self.opened.exists() else []
        return next((each for each in lines if urllib.parse.urlsplit(each).path == path), "")

    def confirm_email(self, _folder: Path, _env: dict[str, str]) -> None:
        link = until(lambda: self.mail.link_to("other@example.test"), what="the confirmation is in the mailbox")
        with browser.Browser(self.havre) as page:
            page.confirm(link)

    def key(self, _folder: Path, _env: dict[str, str]) -> None:
        if not Path(self.kept["key"]).exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.kept["key"]]
            subprocess.run(argv, check=True, capture_output=True)

    def ssh_key(self, folder: Path, env: dict[str, str]) -> None:
        other = str(self.havre.base / "id_app")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, capture_output=True)
        self._say(f"ssh-keys add door {shlex.quote(other)}.pub", folder, env)
        self.kept["app_key"] = other

    def visit(self, _folder: Path, _env: dict[str, str]) -> None:
        def seen() -> bool:
            self.havre.get("shop.havre.localhost", "/seen")
            argv = "accesslogs --since 1h --until 0s -F json"
            return "/seen" in self._say(argv, self.havre.base / "shop", self.shell).said

        until(seen, what="a request is in the access log")

    def other_app(self, folder: Path, env: dict[str, str]) -> None:
        place = self.havre.base / "other"
        place.mkdir()
        self._say("create -t node other", place, env)

    def slow_deploy(self, folder: Path, env: dict[str, str]) -> None:
        write_files(
            folder,
            NODE_APP | {"package.json": '{"name":"x","scripts":{"start":"node server.js","postinstall":"sleep 99"}}'},
        )
        commit(folder, "slow")
        self._say("deploy --exit-on deploy-start --quiet", folder, env)
        assert git(folder, "rev-parse", "HEAD")


def _filled(text: str, kept: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: kept.get(found[1], found[0]), text)
