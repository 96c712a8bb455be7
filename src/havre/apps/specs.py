"""What a build and an instance of an app are started as: units as data."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.apps.model import App, Deployment, Instance, pretty_name
from havre.apps.runtimes import Command, Plan
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.drivers.toolchains import Toolchain
from havre.kernel.config import Config, PackagesConfig, Paths
from havre.kernel.units import Bind, Limits, UnitSpec

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
OWN_CA = "/opt/havre/ca.pem"
CA_NAMES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
)
PACKAGE_PREFIXES = ("PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "BUN_CONFIG_", "YARN_", "GOPROXY", "CARGO_")
PACKAGE_IGNORED = ("PIP_FIND_LINKS", "PIP_CERT", "PIP_CONFIG_FILE", "UV_CACHE_DIR", "UV_PROJECT_ENVIRONMENT")


def home(app: App) -> str:
    """APP_HOME: where the release is, in the build and at run time alike."""
    return f"/home/bas/{app.id}"


def release_key(commit: str, env: Mapping[str, str], runtime: str) -> str:
    """What a built release depends on: the commit and the settings that shape a build."""
    shaping = {
        name: value for name, value in env.items() if name.startswith("CC_") or name in ("APP_FOLDER", "NODE_ENV")
    }
    text = json.dumps([commit, runtime, sorted(shaping.items())])
    return hashlib.sha256(text.encode()).hexdigest()


def cache_key(plan: Plan, toolchains: Sequence[Toolchain], folder: Path) -> str:
    """What the dependency cache is keyed by: the lock files that there are, the runtime and its toolchains."""
    digest = hashlib.sha256(json.dumps([plan.runtime, [(each.name, each.version) for each in toolchains]]).encode())
    for name in plan.lock_files:
        file = folder / name
        if file.is_file() and not file.is_symlink():
            digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


def package_environment(packages: PackagesConfig, host: Mapping[str, str]) -> dict[str, str]:
    """Where the build's package tools fetch from: the operator's settings, else what the host's tools are told."""
    found = {
        name: value
        for name, value in host.items()
        if name.startswith(PACKAGE_PREFIXES) and name not in PACKAGE_IGNORED and "/" not in value[:1]
    }
    if packages.index_url:
        found |= {"PIP_INDEX_URL": packages.index_url, "UV_DEFAULT_INDEX": packages.index_url}
    elif "PIP_INDEX_URL" in found:
        found.setdefault("UV_DEFAULT_INDEX", found["PIP_INDEX_URL"])
    if packages.npm_registry:
        found |= {"NPM_CONFIG_REGISTRY": packages.npm_registry, "BUN_CONFIG_REGISTRY": packages.npm_registry}
    if packages.proxy:
        found |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), packages.proxy)
    return found | packages.environment


def _common(
    app: App, plan: Plan, deployment: Deployment, toolchains: Sequence[Toolchain], *, kind: str
) -> dict[str, str]:
    folder = home(app)
    root = folder + ("/" + deployment.env["APP_FOLDER"].strip("/") if deployment.env.get("APP_FOLDER") else "")
    path = [f"{root}/node_modules/.bin", f"{root}/.havre-venv/bin", *(each.bin for each in toolchains)]
    env = {name: value.replace("$APP_HOME", root) for name, value in plan.env.items()}
    env |= dict.fromkeys(CA_NAMES, CA_FILE)
    env |= deployment.env
    return env | {
        "PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": "/home/bas",
        "LANG": "C.UTF-8",
        "TZ": env.get("TZ", "UTC"),
        "APP_ID": app.id,
        "APP_HOME": folder,
        "APP_ROOT": root,
        "INSTANCE_TYPE": kind,
        "CC_DEPLOYMENT_ID": deployment.id,
        "CC_COMMIT_ID": deployment.commit_id,
        "COMMIT_ID": deployment.commit_id,
        "CC_APP_NAME": app.name,
        "CC_REVERSE_PROXY_IPS": "127.0.0.1",
        "PORT": "8080",
    }


def _tool_binds(toolchains: Sequence[Toolchain]) -> tuple[Bind, ...]:
    return tuple(Bind(each.source, each.target) for each in toolchains)


def build_script(commands: Sequence[Command]) -> str:
    """The build as a program for the sandbox's shell: each command named, timed, and its failure the end."""
    lines = ["#!/bin/sh", "set -u"]
    for command in commands:
        shown = command.hook or shlex.join(command.argv)
        run = f"/bin/sh -c {shlex.quote(command.hook)}" if command.hook else shlex.join(command.argv)
        lines += [
            f"printf '%s\\n' {shlex.quote(f'{command.name}: {shown}' if command.hook else '$ ' + shown)}",
            "began=$(date +%s)",
            f"{run}",
            "code=$?",
            'if [ "$code" -ne 0 ]; then',
            f"  printf '%s failed with exit code %s\\n' {shlex.quote(command.name)} \"$code\"",
            '  exit "$code"',
            "fi",
            f"printf '%s took %s s\\n' {shlex.quote(command.name)} \"$(($(date +%s) - began))\"",
        ]
    return "\n".join([*lines, ""])


def build_spec(
    *,
    config: Config,
    paths: Paths,
    host: Mapping[str, str],
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    unit_id: UnitId,
    cache: Path,
    log: Path,
) -> UnitSpec:
    """The build of one deployment: all its commands in one sandbox, the release writable at APP_HOME."""
    folder = paths.deployments / deployment.id / "build"
    env = package_environment(config.build.packages, host) | _common(app, plan, deployment, toolchains, kind="build")
    env |= {"npm_config_cache": "/home/bas/.cache/npm", "npm_config_update_notifier": "false", "CI": "1"}
    binds = (
        *_tool_binds(toolchains),
        Bind(folder, "/opt/havre/build"),
        Bind(paths.releases / app.id / deployment.id, home(app), writable=True),
        Bind(cache, "/home/bas/.cache", writable=True),
    )
    if config.build.packages.ca_bundle:
        binds = (*binds, Bind(Path(config.build.packages.ca_bundle), OWN_CA))
        env |= dict.fromkeys(CA_NAMES, OWN_CA)
    return UnitSpec(
        id=unit_id,
        kind="build",
        argv=("/bin/sh", "/opt/havre/build/build.sh"),
        env=env,
        cwd=env["APP_ROOT"],
        limits=Limits(config.build.memory_mib * 1024**2, config.build.cpus, pids=2048),
        log=log,
        labels={"app": app.id, "deployment": deployment.id, "kind": "build"},
        binds=binds,
        uid=app.uid,
        deadline_s=config.build.timeout_s,
        scratch_bytes=2 * 1024**3,
    )


def instance_spec(
    *,
    paths: Paths,
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    instance: Instance,
    listen: Path,
    log: Path,
) -> UnitSpec:
    """One instance: the release as it was built, what it writes gone with it."""
    size = flavor(instance.flavor)
    env = _common(app, plan, deployment, toolchains, kind="production")
    env |= {"INSTANCE_ID": instance.id, "INSTANCE_NUMBER": str(instance.number)}
    env |= {"CC_PRETTY_INSTANCE_NAME": pretty_name(instance.id)}
    labels = {"app": app.id, "deployment": deployment.id, "kind": "instance", "generation": str(instance.generation)}
    release = deployment.release_id or deployment.id
    return UnitSpec(
        id=UnitId(instance.id),
        kind="instance",
        argv=("/bin/sh", "-c", start_line(plan.start, env)),
        env=env,
        cwd=env["APP_ROOT"],
        limits=Limits(size.memory_bytes, float(size.cpus), shared=size.is_shared),
        log=log,
        labels=labels,
        binds=_tool_binds(toolchains),
        overlays=(Bind(paths.releases / app.id / release, home(app)),),
        uid=app.uid,
        listen=listen,
        scratch_bytes=max(64 * 1024**2, size.memory_bytes // 4),
    )


def start_line(start: str, env: Mapping[str, str]) -> str:
    """The shell's line: the pre-run hook, whose failure is the instance's, then the app, which takes the shell's place
    when it is one plain command."""
    plain = not any(char in start for char in "&|;<>()`\n")
    line = f"exec {start}" if plain else start
    hook = env.get("CC_PRE_RUN_HOOK")
    return f"/bin/sh -c {shlex.quote(hook)} || exit $?\n{line}" if hook else line
