"""Python apps: what installs them, what serves them, what runs beside them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from havre.apps import runtimes
from havre.apps.runtimes import Plan, Tree
from havre.base.errors import InvalidError

MODULE = {"CC_PYTHON_MODULE": "app:app"}


def detect(env: Mapping[str, str], *names: str) -> Plan:
    return runtimes.detect("python", Tree(frozenset(names or ("requirements.txt",)), {}), env, memory_mib=1024)


def names(plan: Plan) -> list[str]:
    return [command.name for command in plan.build]


def test_uwsgi_serves_unless_another_backend_is_named() -> None:
    plan = detect(MODULE)
    assert plan.start.startswith("uwsgi --http-socket 0.0.0.0:$PORT --module app:app --master")
    assert names(plan) == ["environment", "uv pip install", "uv pip install pyuwsgi"]
    assert plan.toolchains == ("uv",)


@pytest.mark.parametrize(
    ("backend", "start"),
    [
        ("gunicorn", "gunicorn --bind 0.0.0.0:$PORT --workers ${WSGI_WORKERS:-2} --threads ${WSGI_THREADS:-4}"),
        ("uvicorn", "uvicorn --host 0.0.0.0 --port $PORT --workers ${WSGI_WORKERS:-1}"),
        ("daphne", "daphne -b 0.0.0.0 -p $PORT"),
    ],
)
def test_a_named_backend_serves(backend: str, start: str) -> None:
    assert detect(MODULE | {"CC_PYTHON_BACKEND": backend}).start.startswith(start)


@pytest.mark.parametrize(
    ("tree", "first"),
    [
        (("uv.lock", "requirements.txt"), "uv sync"),
        (("poetry.lock", "pyproject.toml", "requirements.txt"), "environment"),
        (("pyproject.toml",), "environment"),
    ],
)
def test_a_lock_file_comes_before_a_list(tree: tuple[str, ...], first: str) -> None:
    found = names(detect(MODULE, *tree))
    assert found[0] == first
    assert ("poetry export" in found) == ("poetry.lock" in tree)


def test_poetry_and_uv_never_take_an_interpreter_of_their_own() -> None:
    for tree in (("uv.lock",), ("poetry.lock", "pyproject.toml")):
        plan = detect(MODULE, *tree)
        assert plan.env["UV_PYTHON_DOWNLOADS"] == "never"
        assert any("/usr/bin/python3" in command.argv for command in plan.build)


def test_uv_runs_the_command_of_a_locked_app() -> None:
    plan = detect({"CC_PYTHON_UV_RUN_COMMAND": "fastapi run"}, "uv.lock")
    assert plan.start == "uv run --no-sync fastapi run"
    with pytest.raises(InvalidError, match="CC_PYTHON_MODULE"):
        detect({"CC_PYTHON_UV_RUN_COMMAND": "fastapi run"}, "requirements.txt")


def test_static_files_and_compression_bring_a_front_before_the_socket() -> None:
    plan = detect(MODULE | {"STATIC_FILES_PATH": "static/", "STATIC_URL_PREFIX": "assets"})
    assert plan.start.startswith("together 'uwsgi --http-socket /tmp/app.sock")
    assert plan.toolchains == ("uv", "caddy", "front", "together")
    assert (plan.env["FRONT_FILES"], plan.env["FRONT_PREFIX"]) == ("$APP_ROOT/static", "/assets")
    packed = detect(MODULE | {"ENABLE_GZIP_COMPRESSION": "true"})
    assert packed.env["FRONT_ENCODE"] == "encode gzip" and "FRONT_FILES" not in packed.env


def test_celery_is_a_worker_and_beat_another() -> None:
    env = MODULE | {"CC_PYTHON_CELERY_MODULE": "shop.celery"}
    assert detect(env).workers == ("celery --app=shop.celery worker --loglevel=INFO",)
    both = detect(env | {"CC_PYTHON_CELERY_USE_BEAT": "true", "CC_PYTHON_CELERY_LOGFILE": "/logs"}).workers
    assert both[0].startswith('mkdir -p "$APP_ROOT"/logs && exec celery --app=shop.celery worker')
    assert both[1].endswith('--pidfile= --logfile="$APP_ROOT"/logs/beat.log')
    assert detect(MODULE).workers == ()


def test_tasks_of_manage_py_run_last_and_in_order() -> None:
    plan = detect(MODULE | {"CC_PYTHON_MANAGE_TASKS": "migrate, collectstatic --noinput"})
    assert plan.build[-2].argv == ("python", "manage.py", "migrate")
    assert plan.build[-1].argv == ("python", "manage.py", "collectstatic", "--noinput")


def test_a_version_is_checked_before_anything_is_installed() -> None:
    assert names(detect(MODULE | {"CC_PYTHON_VERSION": "3.11"}))[0] == "Python 3.11"
    assert names(detect(MODULE))[0] == "environment"


@pytest.mark.parametrize(
    "env",
    [
        {}, {"CC_PYTHON_MODULE": "app; rm -rf /"}, MODULE | {"CC_PYTHON_BACKEND": "apache"},
        MODULE | {"CC_PYTHON_CELERY_MODULE": "a b"}, MODULE | {"STATIC_FILES_PATH": "../etc"},
        MODULE | {"STATIC_FILES_PATH": "a", "STATIC_URL_PREFIX": "/a}\nfile_server"},
        MODULE | {"CC_PYTHON_BACKEND": "gunicorn", "CC_GUNICORN_WORKER_CLASS": "sync; id"},
        MODULE | {"CC_PIP_REQUIREMENTS_FILE": "other.txt"},
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(env: Mapping[str, str]) -> None:
    with pytest.raises(InvalidError):
        detect(env)


def test_a_repository_that_says_nothing_is_told_what_was_looked_for() -> None:
    with pytest.raises(InvalidError, match=r"requirements.txt, uv.lock, poetry.lock or pyproject.toml"):
        detect(MODULE, "main.py")
