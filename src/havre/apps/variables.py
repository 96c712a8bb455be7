"""The variables that a build and an instance see: the plan's, then the app's own, then the platform's, which win.

The app's SSH key is none of them: builds are given it by other means (`keys`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from havre.apps import keys
from havre.apps.model import App, Deployment, pretty_name
from havre.apps.packages import HOST_CA
from havre.apps.runtimes import Plan
from havre.drivers.toolchains import Toolchain

CA_NAMES = (
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
)
HOME = "/home/bas"
_SHARE = re.compile(r"\$MIB_(\d+)")


def home(app: App) -> str:
    """APP_HOME: where the release is, in the build and at run time alike."""
    return f"{HOME}/{app.id}"


def root(app: App, env: Mapping[str, str]) -> str:
    """The app's folder in the release: APP_HOME, or APP_FOLDER below it."""
    inside = env.get("APP_FOLDER", "").strip("/")
    return f"{home(app)}/{inside}" if inside else home(app)


def _filled(value: str, *, at: str, memory_mib: int, cpus: float) -> str:
    """`value` of a plan's environment with what its words stand for."""
    value = value.replace("$APP_ROOT", at).replace("$HEAP_MIB", "$MIB_75").replace("$CPUS", str(max(1, int(cpus))))
    return _SHARE.sub(lambda found: str(memory_mib * int(found[1]) // 100), value)


def variables(
    *,
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    instance_id: str,
    number: int,
    kind: str,
    memory_mib: int,
    cpus: float,
) -> dict[str, str]:
    """All variables of one instance. kind: `build` or `production`. memory_mib, cpus: what the process may use."""
    at = root(app, deployment.env)
    own = {name: value for name, value in deployment.env.items() if name != keys.VARIABLE}
    told = plan.env | (plan.build_env if kind == "build" else {})
    told = {name: _filled(value, at=at, memory_mib=memory_mib, cpus=cpus) for name, value in told.items()}
    env = told | dict.fromkeys(CA_NAMES, HOST_CA) | own
    if "NODE_OPTIONS" in told and "NODE_OPTIONS" in own and "max-old-space-size" not in own["NODE_OPTIONS"]:
        env["NODE_OPTIONS"] = f"{told['NODE_OPTIONS']} {own['NODE_OPTIONS']}".rstrip()
    if "JAVA_TOOL_OPTIONS" in told and "JAVA_TOOL_OPTIONS" in own:  # of two that disagree the last one holds
        env["JAVA_TOOL_OPTIONS"] = f"{told['JAVA_TOOL_OPTIONS']} {own['JAVA_TOOL_OPTIONS']}".rstrip()
    path = [f"{at}/node_modules/.bin", f"{at}/.havre-venv/bin"]
    path += [f"{env['JAVA_HOME']}/bin"] if env.get("JAVA_HOME") else []
    path += [each.bin for each in toolchains if each.bin]
    return env | {
        "PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": HOME,
        "USER": "bas",
        "LANG": env.get("LANG", "C.UTF-8"),
        "TZ": env.get("TZ", "UTC"),
        "APP_ID": app.id,
        "APP_HOME": home(app),
        "APP_ROOT": at,
        "INSTANCE_ID": instance_id,
        "INSTANCE_NUMBER": str(number),
        "INSTANCE_TYPE": kind,
        "CC_PRETTY_INSTANCE_NAME": pretty_name(instance_id),
        "CC_DEPLOYMENT_ID": deployment.id,
        "CC_COMMIT_ID": deployment.commit_id,
        "COMMIT_ID": deployment.commit_id,
        "CC_APP_NAME": app.name,
        "CC_REVERSE_PROXY_IPS": "127.0.0.1",
        "PORT": str(plan.port),
    }
