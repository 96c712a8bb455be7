"""`make demo`: the main job with the stock command line, each step shown with its time.

Every step first looks whether it is done, so that a run after an interrupted one goes on, and a run after a whole one
is quick and ends the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from havre.base.errors import UnavailableError
from havre.cli import process, shell
from havre.kernel import config as settings
from havre.kernel import doctor

APP = "shop"
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "vinext"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+Z: ")


def run(data: Path, config: Path | None) -> None:
    """Bring the platform up, the app on it, and say what to do next. Raises UnavailableError with what to do."""
    began = time.monotonic()
    _machine(data, config)
    status = _platform(data, config)
    env = dict(os.environ) | shell.variables(data, status)
    folder = _repository(data / "demo" / APP, env)
    app = _created(folder, env)
    url = _deployed(folder, env, app, status)
    _farewell(data, status, url, time.monotonic() - began)


def _line(what: str, detail: str, began: float | None = None) -> None:
    took = f"{time.monotonic() - began:5.1f} s" if began is not None else ""
    click.echo(f"  {what:<15} {detail:<58} {took}".rstrip())


def _machine(data: Path, config: Path | None) -> None:
    loaded = settings.load(config)
    running = process.status_of(data) is not None
    findings = list(doctor.examine(loaded, settings.paths_of(data), running=running))
    fatal = [each for each in findings if each.fatal]
    if fatal:
        raise UnavailableError(f"{fatal[0].what}: {fatal[0].seen}; {fatal[0].follows} (all: havre doctor)")
    seen = {each.what: each for each in findings}
    _line("machine", f"sandbox yes · limits {seen['limits'].seen} · way out {seen['way out'].seen}")


def _platform(data: Path, config: Path | None) -> dict[str, Any]:
    began = time.monotonic()
    was = process.status_of(data) is not None
    status = process.start(data, config, {})
    _line("platform", f"{status['api']} {'was up' if was else 'is up'}", began)
    return status


def _repository(folder: Path, env: dict[str, str]) -> Path:
    """A git repository with the example in it; what an interrupted run left is made whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(EXAMPLE.rglob("*")):
        inside = source.relative_to(EXAMPLE)
        if source.is_file() and not {"node_modules", "dist"} & set(inside.parts):
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / inside).exists():
                shutil.copy(source, folder / inside)
    (folder / ".git" / "index.lock").unlink(missing_ok=True)
    _git(folder, env, "init", "--quiet", "--initial-branch=master")
    _git(folder, env, "add", "--all")
    if _git(folder, env, "status", "--porcelain") or not _git(folder, env, "rev-list", "--all", "--max-count=1"):
        _git(folder, env, "commit", "--quiet", "--message", "A Next.js-style app on vinext")
    return folder


def _git(folder: Path, env: dict[str, str], *args: str) -> str:
    who = ("-c", "user.name=Havre demo", "-c", "user.email=demo@havre.localhost", "-c", "commit.gpgsign=false")
    made = subprocess.run(["git", *who, *args], cwd=folder, env=env, capture_output=True, text=True)
    if made.returncode != 0:
        raise UnavailableError(f"git {args[0]} failed in {folder}: {made.stderr.strip()[-300:]}")
    return made.stdout.strip()


def _clever(folder: Path, env: dict[str, str], *args: str) -> str:
    made = subprocess.run(
        ["clever", *args], cwd=folder, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if made.returncode != 0:
        raise UnavailableError(f"clever {' '.join(args)} failed: {(made.stderr or made.stdout).strip()[-400:]}")
    return made.stdout


def _created(folder: Path, env: dict[str, str]) -> str:
    """The app's id; the app is created when it is not there (any more)."""
    link = folder / ".clever.json"
    known = json.loads(_clever(folder, env, "applications", "list", "--format", "json"))
    ids = re.findall(r'"app_id": "(app_[^"]+)"', json.dumps(known)) or re.findall(
        r'"(app_[0-9a-f-]{36})"', json.dumps(known)
    )
    try:
        linked: str = json.loads(link.read_text())["apps"][0]["app_id"]
    except (OSError, ValueError, KeyError, IndexError):
        linked = ""
    if linked in ids:
        return linked
    link.unlink(missing_ok=True)
    click.echo(f"  $ clever create -t node {APP}")
    _clever(folder, env, "create", "-t", "node", APP)
    created: str = json.loads(link.read_text())["apps"][0]["app_id"]
    return created


def _deployed(folder: Path, env: dict[str, str], app: str, status: dict[str, Any]) -> str:
    """Deploy unless the commit serves already; returns the app's URL once it has answered."""
    head = _git(folder, env, "rev-parse", "HEAD")
    seen = json.loads(_clever(folder, env, "status", "--format", "json"))
    began = time.monotonic()
    if seen["status"] != "running" or seen.get("commit") != head:
        click.echo("  $ clever deploy")
        _watch(folder, env)
    url = _open(folder, env)
    _answers(url, Path(env["CURL_CA_BUNDLE"]), status)
    _line("", f"first answer after {time.monotonic() - began:.1f} s")
    return url


def _watch(folder: Path, env: dict[str, str]) -> None:
    """Run `clever deploy`, showing what the platform says as it says it."""
    command = ["clever", "deploy", "--same-commit-policy", "restart"]
    process_ = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert process_.stdout is not None
    said: list[str] = []
    steps = _Steps()
    for raw in process_.stdout:
        said.append(_ANSI.sub("", raw).rstrip())
        if _STAMP.match(said[-1]):
            steps.hear(_STAMP.sub("", said[-1]))
    steps.end()
    if process_.wait() != 0:
        last = next((line for line in reversed(said) if "Deploy failed" in line), said[-1] if said else "")
        raise UnavailableError(f"{_STAMP.sub('', last)} (log: clever logs --deployment-id …; run make demo again)")


class _Steps:
    """The steps of a deployment as they happen: each with its time and the last thing worth telling."""

    def __init__(self) -> None:
        self._name = ""
        self._began = time.monotonic()
        self._told = ""

    def hear(self, line: str) -> None:
        if line.startswith("> "):
            self.end()
            self._name, self._began, self._told = line[2:], time.monotonic(), ""
        elif line.startswith("Detected: "):
            self._told = line.removeprefix("Detected: ")
        elif line.startswith(("Stack of ", "stack: ")):
            self._told = line.removeprefix("stack: ")
        elif line.startswith(("Instance ", "Using the build")) or (line.startswith("$ ") and not self._told):
            self._told = line.removeprefix("$ ")
        elif line.startswith(("Note: ", "Deploy failed")):
            click.echo(f"     {line}")
        elif line.startswith("Successfully deployed in "):
            self.end()
            took = line.removeprefix("Successfully deployed in ")
            click.echo(f"     live {took:>10}   after the push; clever looks every 5 s")
        if self._name == "build" and sys.stdout.isatty():
            click.echo(f"\r     build    {line[:60]:<60}", nl=False)

    def end(self) -> None:
        if self._name:
            start = "\r" if sys.stdout.isatty() else ""
            click.echo(
                f"{start}     {self._name:<8} {time.monotonic() - self._began:5.1f} s   {self._told[:70]:<70}".rstrip()
            )
        self._name = ""


def _open(folder: Path, env: dict[str, str]) -> str:
    """`clever open`, with a browser that opens nothing; returns the URL that it opens."""
    click.echo("  $ clever open")
    _clever(folder, env | {"BROWSER": "true"}, "open")
    listed = json.dumps(json.loads(_clever(folder, env, "domain", "--format", "json")))
    found = re.search(r'"(?:domainWithPathPrefix|fqdn|domain)": "([^"]+)"', listed)
    if found is None:
        raise UnavailableError("the app has no domain; add one: clever domain add NAME")
    return f"https://{found.group(1)}"


class _Local(urllib.request.HTTPSHandler):
    """HTTPS to names that only this machine knows: the connection goes to loopback, the certificate is checked."""

    def __init__(self, context: ssl.SSLContext, address: str) -> None:
        super().__init__(context=context)
        self._tls, self._address = context, address

    def https_open(self, req: urllib.request.Request) -> Any:
        import http.client
        import socket

        tls, address = self._tls, self._address

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                plain = socket.create_connection((address, self.port), timeout=30)
                self.sock = tls.wrap_socket(plain, server_hostname=self.host)

        return self.do_open(Connection, req)


def _answers(url: str, ca: Path, status: dict[str, Any]) -> None:
    """The page answers over HTTPS. Raises UnavailableError after half a minute."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _Local(ssl.create_default_context(cafile=str(ca)), "127.0.0.1")
    )
    deadline = time.monotonic() + 30
    seen = ""
    while time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=10) as answer:
                if answer.status == 200:
                    return
                seen = str(answer.status)
        except (urllib.error.URLError, OSError) as error:
            seen = str(error)
        time.sleep(0.2)
    raise UnavailableError(f"{url} does not answer: {seen} (see havre status)")


def _farewell(data: Path, status: dict[str, Any], url: str, took: float) -> None:
    import shlex

    ca = shlex.quote(status["ca"])
    where = f" --data {shlex.quote(str(data))}"
    program = shlex.quote(str(Path(sys.prefix) / "bin" / "havre"))
    click.echo(f"\n  {url}   ({took:.1f} s in all)\n")
    click.echo(f"  Try it      curl --cacert {ca} {url}")
    click.echo(f'  Your shell  eval "$({program} env{where})" && clever applications list')
    click.echo(f"  Its code    cd {shlex.quote(str(data / 'demo' / APP))}   (change it, commit, clever deploy)")
    secrets = data / "credentials.json"
    who = f"sign in as {json.loads(secrets.read_text())['email']}; the password is in {shlex.quote(str(secrets))}"
    click.echo(f"  Console     {status['console']}   ({who})")
    click.echo(f"  Look        {program} status{where}")
    click.echo(f"  Stop        {program} down{where}   (the data stays; make clean removes it)")
