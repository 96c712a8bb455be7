"""Python apps: an environment made by uv on the host's Python, WSGI or ASGI behind a server. The page is README.md."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from havre.apps.runtimes.plan import Command, Plan
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

BACKENDS = ("uwsgi", "gunicorn", "uvicorn", "daphne")
_MODULE = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\(\))?)?")
VENV = ".havre-venv"
PYTHON = "/usr/bin/python3"


class Python:
    slug = "python"
    type = "python"
    name = "Python"
    variant_id = "049c84e1-56a4-4a6a-8940-7ba7e0f57c61"
    packages: tuple[str, ...] = ("python3",)
    programs: tuple[str, ...] = ("python3",)
    variables = frozenset(
        {
            "CC_PYTHON_MODULE",
            "CC_PYTHON_BACKEND",
            "CC_PIP_REQUIREMENTS_FILE",
            "CC_PYTHON_UV_RUN_COMMAND",
            "CC_PYTHON_VERSION",
            "CC_PYTHON_MANAGE_TASKS",
        }
    )

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        if "uv.lock" in tree:
            return self._locked(env)
        requirements = env.get("CC_PIP_REQUIREMENTS_FILE") or "requirements.txt"
        has_list = requirements in tree or "/" in requirements
        if not has_list and env.get("CC_PIP_REQUIREMENTS_FILE"):
            raise InvalidError(f"CC_PIP_REQUIREMENTS_FILE={requirements} is not in the repository")
        if not has_list and "pyproject.toml" not in tree and not env.get("CC_RUN_COMMAND"):
            raise InvalidError(
                f"no {requirements}, uv.lock or pyproject.toml at the top of the repository: say what to install "
                "(an empty requirements.txt will do)"
            )
        venv = Command("environment", ("uv", "venv", "--quiet", "--python", PYTHON, VENV))
        build = [venv]
        if has_list:
            build.append(Command("uv pip install", ("uv", "pip", "install", "--requirement", requirements)))
        elif "pyproject.toml" in tree:
            build.append(Command("uv pip install", ("uv", "pip", "install", ".")))
        start, server, notes = self._start(env)
        build += [*self._server(server), *self._tasks(env)]
        return self._plan(tuple(build), start, (requirements, "pyproject.toml"), (*notes, *self._notes(env)))

    def _locked(self, env: Mapping[str, str]) -> Plan:
        sync = Command("uv sync", ("uv", "sync", "--locked", "--no-dev", "--python", PYTHON))
        own = env.get("CC_PYTHON_UV_RUN_COMMAND")
        start, server, notes = (f"uv run --no-sync {own}", "", ()) if own else self._start(env)
        build = (sync, *self._server(server), *self._tasks(env))
        return self._plan(build, start, ("uv.lock",), (*notes, *self._notes(env)))

    def _server(self, name: str) -> tuple[Command, ...]:
        return (Command(f"uv pip install {name}", ("uv", "pip", "install", name)),) if name else ()

    def _tasks(self, env: Mapping[str, str]) -> tuple[Command, ...]:
        """CC_PYTHON_MANAGE_TASKS: a comma-separated list of what `manage.py` (Django) is to do."""
        tasks = [each.strip() for each in env.get("CC_PYTHON_MANAGE_TASKS", "").split(",")]
        return tuple(
            Command(f"manage.py {task}", ("python", "manage.py", *shlex.split(task))) for task in tasks if task
        )

    def _notes(self, env: Mapping[str, str]) -> tuple[str, ...]:
        asked = env.get("CC_PYTHON_VERSION")
        return (f"CC_PYTHON_VERSION={asked} is not followed: the version is the host's",) if asked else ()

    def _start(self, env: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
        """The start line, the server to install ("" for none), notes."""
        if env.get("CC_RUN_COMMAND"):
            return env["CC_RUN_COMMAND"], "", ()
        module = env.get("CC_PYTHON_MODULE", "")
        if not _MODULE.fullmatch(module):
            raise InvalidError(
                "set CC_PYTHON_MODULE to the app's entry, such as app:app (clever env set CC_PYTHON_MODULE app:app), "
                "or CC_RUN_COMMAND to the command that listens on 0.0.0.0:8080"
            )
        backend = env.get("CC_PYTHON_BACKEND", "").strip() or "uwsgi"
        if backend not in BACKENDS:
            raise InvalidError(f"CC_PYTHON_BACKEND={backend} is not one of {', '.join(BACKENDS)}")
        if backend == "uvicorn":
            return f"uvicorn --host 0.0.0.0 --port $PORT {module}", "uvicorn", ()
        if backend == "daphne":
            return f"daphne -b 0.0.0.0 -p $PORT {module}", "daphne", ()
        notes = () if backend == "gunicorn" else ("uwsgi is not offered here: gunicorn serves the module instead",)
        return f"gunicorn --bind 0.0.0.0:$PORT --workers 2 --threads 4 {module}", "gunicorn", notes

    def _plan(self, build: tuple[Command, ...], start: str, locks: tuple[str, ...], notes: tuple[str, ...]) -> Plan:
        env = {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": VENV, "PYTHONUNBUFFERED": "1"}
        env |= {"UV_LINK_MODE": "copy", "UV_CACHE_DIR": "/home/bas/.cache/uv", "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {"UV_COMPILE_BYTECODE": "1", "UV_NO_PROGRESS": "1", "VIRTUAL_ENV": f"$APP_ROOT/{VENV}"}
        return Plan("python", ("uv",), build, start, env, locks, notes, packages=self.packages)


RUNTIME = Python()
