"""What serves a Python app: uWSGI, Gunicorn, Uvicorn or Daphne, with Caddy before it when there are static files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from havre.apps.runtimes.front import SOCKET, front
from havre.apps.runtimes.plan import is_true
from havre.base.errors import InvalidError

BACKENDS = {"uwsgi": "pyuwsgi", "gunicorn": "gunicorn", "uvicorn": "uvicorn[standard]", "daphne": "daphne"}
_MODULE = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\(\))?)?")
_CELERY = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?")
_CLASS = re.compile(r"[\w.:]+")


@dataclass(frozen=True)
class Served:
    """The line that serves an app. install: programs to have, each with the requirement that brings it."""

    line: str
    install: Mapping[str, str] = field(default_factory=dict)
    toolchains: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def served(env: Mapping[str, str]) -> Served:
    """By CC_PYTHON_MODULE and CC_PYTHON_BACKEND. Raises InvalidError when they name nothing that can be served."""
    module = env.get("CC_PYTHON_MODULE", "").strip()
    if not _MODULE.fullmatch(module):
        raise InvalidError(
            "set CC_PYTHON_MODULE to the app's entry, such as app:app (clever env set CC_PYTHON_MODULE app:app), "
            "or CC_RUN_COMMAND to the command that listens on 0.0.0.0:8080"
        )
    backend = env.get("CC_PYTHON_BACKEND", "").strip() or "uwsgi"
    if backend not in BACKENDS:
        raise InvalidError(f"CC_PYTHON_BACKEND={backend} is not one of {', '.join(BACKENDS)}")
    install = {backend: BACKENDS[backend]}
    if is_true(env.get("CC_PYTHON_USE_GEVENT")) and backend in ("uwsgi", "gunicorn"):
        install["gevent"] = "gevent" if backend == "uwsgi" else "gunicorn[gevent]"
    before = front(env)
    line = _lines(shlex.quote(module), env, behind=before is not None)[backend]
    if before is None:
        return Served(line, install)
    return Served(before.line(line), install, before.toolchains, before.env)


def worker_lines(env: Mapping[str, str]) -> tuple[str, ...]:
    """CC_PYTHON_CELERY_*: the background processes of Celery. Raises InvalidError for a name that is no module."""
    module = env.get("CC_PYTHON_CELERY_MODULE", "").strip()
    if not module:
        return ()
    if not _CELERY.fullmatch(module):
        raise InvalidError(f"CC_PYTHON_CELERY_MODULE={module} is not a module, such as shop.celery")
    folder = env.get("CC_PYTHON_CELERY_LOGFILE", "").strip().strip("/")
    if ".." in PurePosixPath(folder).parts:
        raise InvalidError("CC_PYTHON_CELERY_LOGFILE is a folder of the app")
    place = shlex.quote(folder)
    before = f'mkdir -p "$APP_ROOT"/{place} && exec ' if folder else ""
    lines = [f"celery --app={module} worker --loglevel=INFO" + _logfile(place, "%n%I")]
    if is_true(env.get("CC_PYTHON_CELERY_USE_BEAT")):
        beat = f"celery --app={module} beat --loglevel=INFO --schedule=/tmp/celerybeat-schedule --pidfile="
        lines.append(beat + _logfile(place, "beat"))
    return tuple(before + line for line in lines)


def _logfile(place: str, name: str) -> str:
    return f' --logfile="$APP_ROOT"/{place}/{name}.log' if place != "''" else ""


def _lines(module: str, env: Mapping[str, str], *, behind: bool) -> dict[str, str]:
    """The line of each server. behind: on a unix socket, something else has the port."""
    gevent = is_true(env.get("CC_PYTHON_USE_GEVENT"))
    worker_class = env.get("CC_GUNICORN_WORKER_CLASS") or env.get("GUNICORN_WORKER_CLASS") or ("gevent" * gevent)
    if worker_class and not _CLASS.fullmatch(worker_class):
        raise InvalidError(f"CC_GUNICORN_WORKER_CLASS={worker_class} is not a class of workers, such as gthread")
    kind = f" --worker-class {worker_class}" if worker_class else ""
    threads = "" if gevent else " --threads ${WSGI_THREADS:-4}"
    limit = "${HARAKIRI:-180}"
    at = {
        "uwsgi": f"--http-socket {SOCKET}" if behind else "--http-socket 0.0.0.0:$PORT",
        "gunicorn": f"--bind unix:{SOCKET}" if behind else "--bind 0.0.0.0:$PORT",
        "uvicorn": f"--uds {SOCKET}" if behind else "--host 0.0.0.0 --port $PORT",
        "daphne": f"-u {SOCKET}" if behind else "-b 0.0.0.0 -p $PORT",
    }
    uwsgi = (
        f"uwsgi {at['uwsgi']} --module {module} --master --need-app --die-on-term --enable-threads "
        f"--processes ${{WSGI_WORKERS:-2}}{' --gevent 100' if gevent else threads} --harakiri {limit} "
        "--buffer-size ${WSGI_BUFFER_SIZE:-4096} --post-buffering ${WSGI_POST_BUFFERING:-4096} "
        "--disable-logging --log-5xx"
    )
    gunicorn = (
        f"gunicorn {at['gunicorn']} --workers ${{WSGI_WORKERS:-2}}{threads}{kind} --worker-tmp-dir /dev/shm "
        f"--timeout ${{CC_GUNICORN_TIMEOUT:-{limit}}} --forwarded-allow-ips '*' {module}"
    )
    uvicorn = (
        f"uvicorn {at['uvicorn']} --workers ${{WSGI_WORKERS:-1}} --no-access-log --proxy-headers "
        f"--forwarded-allow-ips '*' {module}"
    )
    daphne = f"daphne {at['daphne']} --application-close-timeout {limit} --proxy-headers {module}"
    return {"uwsgi": uwsgi, "gunicorn": gunicorn, "uvicorn": uvicorn, "daphne": daphne}
