"""Python apps: an environment made by uv on the stack's Python, WSGI or ASGI behind a server. The page is README.md."""

from __future__ import annotations

from collections.abc import Mapping

from havre.apps.runtimes.plan import Plan
from havre.apps.runtimes.python.install import VENV, install_commands, program_command, requirements, task_commands
from havre.apps.runtimes.python.servers import Served, served, worker_lines
from havre.apps.runtimes.tree import Tree
from havre.apps.runtimes.versions import version_check

ENV = {
    "UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": VENV, "VIRTUAL_ENV": f"$APP_ROOT/{VENV}",
    "UV_LINK_MODE": "copy", "UV_CACHE_DIR": "/home/bas/.cache/uv", "UV_COMPILE_BYTECODE": "1", "UV_NO_PROGRESS": "1",
    "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip
VERSION = ("python3", "-c", "import platform; print(platform.python_version())")


class Python:
    slug = "python"
    type = "python"
    name = "Python"
    variant_id = "049c84e1-56a4-4a6a-8940-7ba7e0f57c61"
    packages: tuple[str, ...] = ("python3",)
    programs: tuple[str, ...] = ("python3",)
    variables = frozenset(
        {
            "CC_PYTHON_MODULE", "CC_PYTHON_BACKEND", "CC_PYTHON_VERSION", "CC_PIP_REQUIREMENTS_FILE",
            "CC_PYTHON_UV_RUN_COMMAND", "CC_PYTHON_MANAGE_TASKS", "CC_PYTHON_USE_GEVENT", "CC_PYTHON_CELERY_MODULE",
            "CC_PYTHON_CELERY_LOGFILE", "CC_PYTHON_CELERY_USE_BEAT", "CC_GUNICORN_TIMEOUT", "CC_GUNICORN_WORKER_CLASS",
        }
    )  # fmt: skip

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        asked = env.get("CC_PYTHON_VERSION", "")
        check = version_check("Python", asked=asked, who="CC_PYTHON_VERSION", program=VERSION)
        install = install_commands(tree, env)
        start = _start(tree, env)
        servers = tuple(program_command(name, each) for name, each in start.install.items())
        source = {"PYTHONPATH": "$APP_ROOT/src"} if "poetry.lock" in tree and "src/" in tree else {}
        return Plan(
            runtime=self.slug,
            toolchains=("uv", *start.toolchains),
            build=(*check, *install, *servers, *task_commands(env)),
            start=start.line,
            env={**ENV, **source, **start.env},
            lock_files=("uv.lock", "poetry.lock", requirements(env), "pyproject.toml"),
            packages=self.packages,
            dependencies=(VENV,),
            workers=worker_lines(env),
        )


def _start(tree: Tree, env: Mapping[str, str]) -> Served:
    """CC_RUN_COMMAND, else CC_PYTHON_UV_RUN_COMMAND of an app with uv.lock, else the module behind a server."""
    if env.get("CC_RUN_COMMAND", "").strip():
        return Served(env["CC_RUN_COMMAND"].strip())
    own = env.get("CC_PYTHON_UV_RUN_COMMAND", "").strip()
    if "uv.lock" in tree and own:
        return Served(f"uv run --no-sync {own}")
    return served(env)


RUNTIME = Python()
