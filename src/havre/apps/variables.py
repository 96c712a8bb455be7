"""The variables that a build and an instance see: the plan's, then the app's own, then the platform's, which win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def home(app: App) -> str:
    """APP_HOME: where the release is, in the build and at run time alike."""
    return f"{HOME}/{app.id}"


def root(app: App, env: Mapping[str, str]) -> str:
    """The app's folder in the release: APP_HOME, or APP_FOLDER below it."""
    inside = env.get("APP_FOLDER", "").strip("/")
    return f"{home(app)}/{inside}" if inside else home(app)


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
) -> dict[str, str]:
    """All variables of one instance. kind: `build` or `production`. memory_mib: what the process may use."""
    at, own = root(app, deployment.env), deployment.env
    heap = str(memory_mib * 3 // 4)
    told_sizes = {"$APP_ROOT": at, "$HEAP_MIB": heap, "$CACHE_MIB": str(min(1024, memory_mib // 4))}
    env = dict(plan.env)
    for sign, size in told_sizes.items():
        env = {name: value.replace(sign, size) for name, value in env.items()}
    told = env.get("NODE_OPTIONS")
    env |= dict.fromkeys(CA_NAMES, HOST_CA) | own
    if told and own.get("NODE_OPTIONS") and "max-old-space-size" not in own["NODE_OPTIONS"]:
        env["NODE_OPTIONS"] = f"{told} {own['NODE_OPTIONS']}"
    path = [f"{at}/node_modules/.bin", f"{at}/.havre-venv/bin", *(each.bin for each in toolchains)]
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
