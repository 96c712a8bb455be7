"""Installs everything that Havre needs into `.venv/`: `make setup`.

Standard library only; run by the host's Python. Each part has a stamp (`parts`), written when the part is whole, so
that a run is quick when nothing changed and heals what an interrupted one left.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import debian
from parts import PYTHON, ROOT, VENV, digest, done, fail, is_done, run, say

CLI = VENV / "share" / "havre" / "cli"
CONSOLE = ROOT / "console"
WEB = ROOT / "src" / "havre" / "console" / "web"
SHIMS = VENV / "share" / "havre" / "bin"
UV_S = 240  # then pip has its turn
UV_NAMES = {  # of pip's configuration
    "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE", "trusted-host": "UV_INSECURE_HOST", "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}  # fmt: skip
HARMLESS = {"disable-pip-version-check", "no-input", "progress-bar", "quiet", "root-user-action", "cache-dir"}


def make_environment() -> None:
    """The virtual environment with pip in it, whether or not the host has Debian's python3-venv."""
    began = time.monotonic()
    value = digest(sys.version, str(VENV))
    if is_done("environment", value) and PYTHON.exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "making .venv")
    for bootstrap in (bootstrap_ensurepip, bootstrap_host_pip, bootstrap_debian):
        if bootstrap():
            break
    else:
        fail("no pip to begin with: install python3-venv or python3-pip (apt install python3-venv) and run make again")
    done("environment", value)
    say("environment", f".venv, Python {sys.version.split()[0]}", began)


def bootstrap_ensurepip() -> bool:
    made = subprocess.run([str(PYTHON), "-m", "ensurepip", "--default-pip"], capture_output=True)
    return made.returncode == 0


def bootstrap_host_pip() -> bool:
    """The host's pip can install one into another environment (pip 22.3 and later)."""
    command = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"]
    return subprocess.run(command, capture_output=True).returncode == 0


def bootstrap_debian() -> bool:
    """Without pip and python3-venv, an ordinary user may still download Debian's wheel of pip and unpack it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return False
    with tempfile.TemporaryDirectory() as scratch:
        got = subprocess.run(["apt-get", "download", "-qq", "python3-pip-whl"], cwd=scratch, capture_output=True)
        packages = list(Path(scratch).glob("*.deb"))
        if got.returncode != 0 or not packages:
            return False
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), f"{scratch}/x"], check=True, capture_output=True)
        wheels = list(Path(scratch, "x").rglob("pip-*.whl"))
        if not wheels:
            return False
        command = [str(PYTHON), f"{wheels[0]}/pip", "install", "--quiet", "--no-index", str(wheels[0])]
        return subprocess.run(command, capture_output=True).returncode == 0


def install_packages() -> None:
    """By uv, which takes a fourth of the time that pip takes; by pip where it cannot."""
    began = time.monotonic()
    lock = ROOT / "requirements.lock"
    value = digest(lock, ROOT / "pyproject.toml")
    if is_done("packages", value):
        return
    ours = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    if not install_by_uv(["--require-hashes", "-r", str(lock)], ours):
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        run([*pip, "--require-hashes", "-r", str(lock)], "installing the locked packages")
        run([*pip, *ours], "installing Havre itself")
    done("packages", value)
    say("packages", "locked dependencies", began)


def install_by_uv(*installs: list[str]) -> bool:
    """Whether all of it is installed. The lock has uv itself, which pip brings; where packages come from is pip's
    configuration, which uv does not read."""
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    wants = locked("uv")
    if wants is None:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(wants)
        wanted.flush()
        command = [*pip, "install", "--quiet", "--require-hashes", "-r", wanted.name]
        if subprocess.run(command, capture_output=True).returncode != 0:
            return False
    places = places_of(subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout)
    if places is None:
        return False
    env = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "UV_INDEX_STRATEGY": "unsafe-best-match"} | places
    uv = [str(PYTHON.with_name("uv")), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON)]
    try:
        made = (subprocess.run([*uv, *each], capture_output=True, env=env, timeout=UV_S) for each in installs)
        return all(each.returncode == 0 for each in made)
    except (OSError, subprocess.TimeoutExpired):
        return False


def locked(name: str) -> str | None:
    """What the lock says of one package, with its hashes."""
    text = (ROOT / "requirements.lock").read_text()
    found = re.search(rf"^{name}==(?:.*\\\n)*.*\n", text, re.MULTILINE)
    return found.group() if found else None


def places_of(config: str) -> dict[str, str] | None:
    """What `pip config list` says of where packages come from, as uv's environment. None where it says what uv would
    understand in another way, or not at all."""
    told: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in config.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in told:
            told[section][key] = " ".join(value.strip("'\"").replace("\\n", " ").split())
    merged = told["global"] | told["install"] | told[":env:"]
    if merged.keys() - UV_NAMES.keys() - HARMLESS:
        return None
    found = {UV_NAMES[key]: value for key, value in merged.items() if key in UV_NAMES}
    if "UV_FIND_LINKS" in found:
        found["UV_FIND_LINKS"] = found["UV_FIND_LINKS"].replace(" ", ",")
    return found


def compile_own() -> None:
    """Havre's own modules, as the packages are: where Python keeps nothing (PYTHONDONTWRITEBYTECODE), each start of
    the control plane would compile them again, half as long again."""
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", str(ROOT / "src" / "havre")], capture_output=True)


def install_toolchains() -> None:
    began = time.monotonic()
    value = digest(ROOT / "requirements.lock", *sorted((ROOT / "src/havre/drivers/toolchains").glob("*.py")))
    if is_done("toolchains", value):
        return
    place = "Path(sys.prefix) / 'share/havre/toolchains'"
    code = (
        f"import sys; from pathlib import Path; from havre.drivers import toolchains; toolchains.prepare_all({place})"
    )
    run([str(PYTHON), "-c", code], "fetching the toolchains")
    done("toolchains", value)
    say("toolchains", "node 24, bun, uv, caddy", began)


def install_cli() -> None:
    began = time.monotonic()
    value = digest(ROOT / "tools/cli/package.json", ROOT / "tools/cli/package-lock.json", Path(__file__), str(VENV))
    if is_done("cli", value):
        return
    node = sorted((VENV / "share/havre/toolchains").glob("node-*"))[-1]
    fresh = CLI.with_name("cli.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tools/cli" / name, fresh)
    npm = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
    flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    run(
        [*npm, *flags],
        "installing the command line",
        cwd=fresh,
        env=os.environ | {"PATH": f"{node / 'bin'}:{os.environ['PATH']}"},
    )
    shutil.rmtree(CLI, ignore_errors=True)
    fresh.rename(CLI)
    SHIMS.mkdir(parents=True, exist_ok=True)
    shim = SHIMS / "clever"
    # The shim finds its way from where it stands, so that the checkout may be moved and hold a space in its path.
    lines = [
        "#!/bin/sh",
        'here=$(dirname "$(readlink -f "$0")")',
        # what Node has compiled is kept: each command is an eighth quicker
        'export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$here/../cli/compiled}"',
        f'exec "$here/../toolchains/{node.name}/bin/node" \\',
    ]
    lines += ['  "$here/../cli/node_modules/clever-tools/bin/clever.js" "$@"', ""]
    (SHIMS / "clever.new").write_text("\n".join(lines))
    (SHIMS / "clever.new").chmod(0o755)
    (SHIMS / "clever.new").rename(shim)
    done("cli", value)
    say("command line", "clever 4.11.0 (with a Node of its own)", began)


def npm_of(node: Path) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of the npm that came with the toolchains."""
    command = [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]
    return command, os.environ | {"PATH": f"{node / 'bin'}:{os.environ['PATH']}"}


def locked_console(with_checks: bool) -> str:
    return digest(CONSOLE / "package.json", CONSOLE / "package-lock.json", str(CONSOLE), str(with_checks))


def begin_console_packages(*, with_checks: bool) -> subprocess.Popen[str] | None:
    """Fetch what the console is built with, while the rest is installed. with_checks: also what checks it."""
    has_all = is_done("console-packages", locked_console(True))
    if (CONSOLE / "node_modules").exists() and (
        has_all or (not with_checks and is_done("console-packages", locked_console(False)))
    ):
        return None
    npm, env = npm_of(newest_node())
    flags = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", *([] if with_checks else ["--omit=dev"])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([*npm, *flags], cwd=CONSOLE, env=env, text=True, **pipes)


def newest_node() -> Path:
    return sorted((VENV / "share/havre/toolchains").glob("node-*"))[-1]


def build_console(packages: subprocess.Popen[str] | None, *, with_checks: bool) -> None:
    """The web console, from `console/` into the package."""
    began = time.monotonic()
    if packages is not None:
        said, _ = packages.communicate()
        if packages.returncode != 0:
            sys.stderr.write(said[-4000:])
            fail("installing the console's packages failed; what npm said stands above. Run make setup again")
        done("console-packages", locked_console(with_checks))
    loose = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
    below = [each for name in ("src", "public") for each in sorted((CONSOLE / name).rglob("*")) if each.is_file()]
    value = digest(*(CONSOLE / name for name in loose), *below)
    if is_done("console", value) and (WEB / "index.html").exists():
        return
    node, fresh = newest_node(), WEB.with_name("web.new")
    vite = [str(node / "bin/node"), str(CONSOLE / "node_modules/vite/bin/vite.js"), "build"]
    _, env = npm_of(node)
    run(vite, "building the console", cwd=CONSOLE, env=env | {"HAVRE_CONSOLE_OUT": str(fresh)})
    shutil.rmtree(WEB, ignore_errors=True)
    fresh.rename(WEB)
    done("console", value)
    say("console", "the web pages", began)


def begin_stacks() -> tuple[subprocess.Popen[str], str, float] | None:
    """Make the trees of packages that apps run on, while the rest is installed."""
    began = time.monotonic()
    made_by = sorted((ROOT / "src/havre/drivers/debian").rglob("*.py"))
    value = digest(*made_by, ROOT / "src/havre/apps/stacks.py", str(VENV))
    if is_done("stacks", value):
        return None
    code = (
        "import os, sys, anyio; from pathlib import Path; from havre.apps import stacks; "
        "print(anyio.run(stacks.prepare, Path(sys.prefix) / 'share/havre/stacks', dict(os.environ)))"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([str(PYTHON), "-c", code], text=True, **pipes), value, began


def end_stacks(begun: tuple[subprocess.Popen[str], str, float] | None) -> None:
    """Without a mirror of packages there are none yet: the first deployment makes them."""
    if begun is None:
        return
    process, value, began = begun
    said, errors = process.communicate()
    if process.returncode == 0:
        done("stacks", value)
        say("stacks", said.strip(), began)
    else:
        why = (errors.strip().splitlines() or ["?"])[-1].rpartition("Error: ")[2]
        say("stacks", f"not made now ({why[:200]}); the first deployment tries again", began)


def main() -> None:
    if sys.version_info < (3, 11):
        fail(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}")
    make_environment()
    install_packages()
    compile_own()
    stacks = begin_stacks()
    packages_of_debian = debian.begin()
    install_toolchains()
    with_checks = "--console-checks" in sys.argv[1:]
    packages = begin_console_packages(with_checks=with_checks)
    install_cli()
    build_console(packages, with_checks=with_checks)
    debian.end(packages_of_debian)
    end_stacks(stacks)


if __name__ == "__main__":
    main()
