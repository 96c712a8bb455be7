"""What installs a Python app: uv.lock, poetry.lock, a list of requirements or pyproject.toml, always with uv."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from havre.apps.runtimes.plan import Command
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

VENV = ".havre-venv"
PYTHON = "/usr/bin/python3"
EXPORTED = "/tmp/requirements.txt"
# poetry names what its lock holds and uv installs it, from the operator's index, which poetry would not ask
POETRY = ("uv", "tool", "run", "--python", PYTHON, "--with", "poetry-plugin-export", "poetry")
EXPORT = ("export", "--only", "main", "--without-hashes", "--output", EXPORTED, "--no-interaction")


def install_commands(tree: Tree, env: Mapping[str, str]) -> tuple[Command, ...]:
    """The environment and the app's packages in it. Raises InvalidError when nothing says what they are."""
    if "uv.lock" in tree:
        return (Command("uv sync", ("uv", "sync", "--locked", "--no-dev", "--python", PYTHON)),)
    venv = Command("environment", ("uv", "venv", "--quiet", "--allow-existing", "--python", PYTHON, VENV))
    listed = requirements(env)
    has_list = listed in tree or "/" in listed
    if env.get("CC_PIP_REQUIREMENTS_FILE") and not has_list:
        raise InvalidError(f"CC_PIP_REQUIREMENTS_FILE={listed} is not in the repository")
    if "poetry.lock" in tree and not env.get("CC_PIP_REQUIREMENTS_FILE"):
        return (venv, Command("poetry export", (*POETRY, *EXPORT)), _pip("--requirement", EXPORTED))
    if has_list:
        return (venv, _pip("--requirement", listed), *_setup(env))
    if "pyproject.toml" in tree or "setup.py" in tree:
        return (venv, _pip("."), *_setup(env))
    if env.get("CC_RUN_COMMAND"):
        return (venv,)
    raise InvalidError(
        f"no {listed}, uv.lock, poetry.lock or pyproject.toml at the top of the repository: say what to install "
        "(an empty requirements.txt will do; is the app in a sub-folder? then set APP_FOLDER)"
    )


def requirements(env: Mapping[str, str]) -> str:
    return env.get("CC_PIP_REQUIREMENTS_FILE", "").strip().lstrip("/") or "requirements.txt"


def program_command(program: str, requirement: str) -> Command:
    """Install what serves the app, unless the app's own list has brought it."""
    script = '[ -x "$VIRTUAL_ENV/bin/$1" ] || exec uv pip install "$2"'
    return Command(f"uv pip install {requirement}", ("/bin/sh", "-c", script, "sh", program, requirement), quiet=True)


def task_commands(env: Mapping[str, str]) -> tuple[Command, ...]:
    """CC_PYTHON_MANAGE_TASKS: a comma-separated list of what `manage.py` (Django) is to do."""
    tasks = [each.strip() for each in env.get("CC_PYTHON_MANAGE_TASKS", "").split(",")]
    return tuple(Command(f"manage.py {task}", ("python", "manage.py", *shlex.split(task))) for task in tasks if task)


def _pip(*what: str) -> Command:
    return Command("uv pip install", ("uv", "pip", "install", *what))


def _setup(env: Mapping[str, str]) -> tuple[Command, ...]:
    goal = env.get("PYTHON_SETUP_PY_GOAL", "").strip()
    return (Command(f"setup.py {goal}", ("python", "setup.py", *shlex.split(goal))),) if goal else ()
