"""A whole installation as its users see it: `havre up`, the stock `clever`, git, HTTPS. Nothing of ours is imported
but what an operator's script could use, and what tells whether this machine has limits."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from havre.client import Client
from havre.drivers import cgroup
from tests.ports import free_ports, free_row

HAVRE = str(Path(sys.executable).parent / "havre")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NODE_APP = {
    "package.json": json.dumps({"name": "hello", "version": "1.0.0", "scripts": {"start": "node server.js"}}),
    "server.js": """
const http = require("node:http")
const { CC_DEPLOYMENT_ID, CC_COMMIT_ID, APP_ID, INSTANCE_ID, GREETING } = process.env
console.log("listening soon")
const server = http.createServer((request, response) => {
  if (request.url.startsWith("/log")) console.log("asked to log" + request.url.slice(4))
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify({ app: APP_ID, deployment: CC_DEPLOYMENT_ID, commit: CC_COMMIT_ID,
    instance: INSTANCE_ID, greeting: GREETING ?? "hello" }))
})
server.keepAliveTimeout = 120000
process.on("SIGTERM", () => server.close(() => process.exit(0)))
server.listen(8080, "0.0.0.0")
""",
}


NEEDS_LIMITS = pytest.mark.skipif(bool(cgroup.probe().missing), reason="doctor says: limits NO")


def until(claim: Callable[[], Any], *, what: str, limit_s: float = 60, every_s: float = 0.1) -> Any:
    """Return the first true answer of `claim`; fail with `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not (answer := claim()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(every_s)
    return answer


class AppConnection(http.client.HTTPSConnection):
    """HTTPS to a host name that this machine's resolver does not know."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=60, context=context)
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


Kind = TypeVar("Kind", bound="Installation")


@dataclass
class Installation:
    """One data directory and the processes on it. settings: tables of the settings file beyond the rig's own."""

    base: Path
    settings: dict[str, Any] = field(default_factory=dict)
    _environment: dict[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.data = self.base / "data"
        self.home = self.base / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.http_port, self.https_port, self.ssh_port = free_ports(3)
        first, last = free_row(20)
        self.tcp_ports = f"{first}-{last}"
        self.config = self.base / "havre.toml"

    def write_config(self, **trials: str) -> None:
        ports = {"http_port": self.http_port, "https_port": self.https_port, "tcp_ports": self.tcp_ports}
        tables = {
            "ssh": {"port": self.ssh_port},
            "apps": {"health_timeout_s": 30.0, "drain_s": 10.0, "grace_s": 5.0},
        } | self.settings
        tables["edge"] = ports | tables.get("edge", {})
        lines: list[str] = []
        for table, values in tables.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        lines += ["[trials]", *(f"{key} = {json.dumps(value)}" for key, value in trials.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def havre(self, *args: str, check: bool = True, limit_s: float = 120) -> subprocess.CompletedProcess[str]:
        command = [HAVRE, *args, "--data", str(self.data)]
        command += ["--config", str(self.config)] if args[0] in ("up", "down") else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, env=self.plain_environment())
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log_tail()}"
        return done

    def plain_environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLEVER_", "API_"))}
        return kept | {"HOME": str(self.home)}

    def up(self, **trials: str) -> None:
        self.write_config(**trials)
        self.havre("up", "--detach")

    def down(self) -> None:
        self.havre("down")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.havre("status", "--json", check=False).stdout)
        return found

    def control_plane_pid(self) -> int:
        pid: int = json.loads((self.data / "status.json").read_text())["pid"]
        return pid

    def kill_control_plane(self) -> None:
        pid = self.control_plane_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), what="the control plane is gone")

    def processes(self) -> list[int]:
        """Every process that belongs to this installation: its data or run directory stands in its command line or
        it descends from one where it does."""
        run = json.loads((self.data / "status.json").read_text())["run"]
        marks = (str(self.data).encode(), run.encode())
        roots, parents = set(), {}
        for each in Path("/proc").glob("[0-9]*"):
            try:
                command, stat = (each / "cmdline").read_bytes(), (each / "stat").read_text()
            except OSError:
                continue
            parents[int(each.name)] = int(stat.rsplit(")", 1)[1].split()[1])
            if any(mark in command for mark in marks) and int(each.name) != os.getpid():
                roots.add(int(each.name))
        grown = True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in roots} - roots
            roots |= more
            grown = bool(more)
        return sorted(roots)

    def kill_everything(self) -> None:
        for _ in range(5):
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)

    def log_tail(self) -> str:
        file = self.data / "havre.log"
        return "\n--- log\n" + "\n".join(file.read_text().splitlines()[-30:]) if file.exists() else ""

    # as a developer

    def environment(self) -> dict[str, str]:
        """What `eval "$(havre env)"` leaves in a shell; it stays the same as long as the data directory does."""
        if self._environment is not None:
            return dict(self._environment)
        script = 'eval "$("$0" env --data "$1")" && exec "$2" -c "import os, json; print(json.dumps(dict(os.environ)))"'
        done = subprocess.run(
            ["/bin/sh", "-c", script, HAVRE, str(self.data), sys.executable],
            capture_output=True, text=True, check=True, env=self.plain_environment(),
        )  # fmt: skip
        self._environment = json.loads(done.stdout)
        return dict(self._environment or {})

    def clever(
        self,
        *args: str,
        cwd: Path,
        check: bool = True,
        limit_s: float = 180,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        env = dict(environment or self.environment())
        done = subprocess.run(
            ["clever", *args],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=limit_s,
            env=env,
            input=stdin,
        )
        if check:
            assert done.returncode == 0, f"clever {args}: {done.stdout}{done.stderr}{self.log_tail()}"
        return done

    def clever_json(self, *args: str, cwd: Path) -> Any:
        return json.loads(self.clever(*args, "-F", "json", cwd=cwd).stdout)

    def put_env(self, folder: Path, env: Mapping[str, str]) -> None:
        """These variables and no others, by one command."""
        if env:
            lines = (f'{name}="{value.replace(chr(34), chr(92) + chr(34))}"\n' for name, value in env.items())
            self.clever("env", "import", cwd=folder, stdin="".join(lines))

    def deploy(self, folder: Path, *options: str, limit_s: float = 180) -> None:
        """Push and wait until it serves: as soon as it does, where the command line looks every five seconds."""
        self.clever("deploy", "--quiet", "--exit-on", "deploy-start", *options, cwd=folder)
        self.has_deployed(folder, limit_s=limit_s)

    def has_deployed(self, folder: Path, *, limit_s: float = 180) -> None:
        """Wait for the end of the newest deployment, which must be a good one."""
        [app] = json.loads((folder / ".clever.json").read_text())["apps"]
        newest = f"/v2/organisations/{app['org_id']}/applications/{app['app_id']}/deployments?limit=1"
        operator, seen = Client.of_data(self.data), {"state": "WIP"}

        def has_ended() -> bool:
            nonlocal seen
            [seen] = operator.call("GET", newest)
            return seen["state"] != "WIP"

        until(has_ended, what=f"{folder.name} is deployed", limit_s=limit_s, every_s=0.3)
        if seen["state"] != "OK":
            words = ("logs", "--deployment-id", seen["uuid"], "--since", "1h", "--until", "0s")
            pytest.fail(f"{seen}\n{self.clever(*words, cwd=folder).stdout}{self.log_tail()}")

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.environment()["CURL_CA_BUNDLE"])

    def connection(self, host: str) -> AppConnection:
        return AppConnection(host, self.https_port, self.tls())

    def get(self, host: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = self.connection(host)
        try:
            connection.request("GET", path, headers={"host": f"{host}:{self.https_port}", **headers})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def new_repository(self, name: str, files: Mapping[str, str] = NODE_APP) -> Path:
        folder = self.base / name
        folder.mkdir(parents=True)
        write_files(folder, files)
        git(folder, "init", "-q", "-b", "master")
        commit(folder, "first")
        return folder


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def git(folder: Path, *args: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=Dev", "-c", "user.email=dev@example.test"]
    return subprocess.run(
        ["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True, env=env
    ).stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@dataclass
class Load:
    """Keep-alive clients that ask one app without a pause, and count what they were answered.

    app: its id, for those who want to know that nobody else ever answered (`wrong`).
    """

    installation: Installation
    host: str
    clients: int = 4
    app: str = ""
    wrong: list[str] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    answered: int = 0
    lost: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)

    @contextmanager
    def running(self) -> Iterator[Load]:
        stop = threading.Event()
        context = self.installation.tls()
        threads = [threading.Thread(target=self._ask, args=(stop, context)) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=60)

    @property
    def p99_ms(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)] * 1000

    def _ask(self, stop: threading.Event, context: ssl.SSLContext) -> None:
        port = self.installation.https_port
        connection = AppConnection(self.host, port, context)
        while not stop.is_set():
            began = time.monotonic()
            try:
                connection.request("GET", "/", headers={"host": f"{self.host}:{port}"})
                response = connection.getresponse()
                body = response.read()
                self.took_s.append(time.monotonic() - began)
                if response.status != 200:
                    self.lost.append(f"{response.status} {body[:80]!r}")
                else:
                    self.answered += 1
                    said = json.loads(body)
                    self.seen.add(said["deployment"])
                    self.instances.add(said["instance"])
                    if self.app and said["app"] != self.app:
                        self.wrong.append(f"{self.host}: {body[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()
                connection = AppConnection(self.host, port, context)
            stop.wait(0.005)
        connection.close()


@contextmanager
def installation(**settings: Any) -> Iterator[Installation]:
    with installation_of(Installation, **settings) as made:
        yield made


@contextmanager
def installation_of(kind: type[Kind], **settings: Any) -> Iterator[Kind]:
    """One of the rig's, or one that differs from it."""
    base = Path(tempfile.mkdtemp(prefix="havre t-"))  # a path with a space, on purpose
    made = kind(base, settings)
    try:
        yield made
    finally:
        try:
            made.down()
        finally:
            if (made.data / "status.json").exists():
                made.kill_everything()
            shutil.rmtree(base, ignore_errors=True)
