"""What an instance of an app is started as: a unit as data. Builds are in `build`, their keys in `cache`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from havre.apps import images
from havre.apps.build import build_script, build_spec
from havre.apps.cache import cache_key, release_key
from havre.apps.images import Image
from havre.apps.model import App, Deployment, Instance
from havre.apps.runtimes import Plan, public_port
from havre.apps.runtimes.request_flow.launch import start_line as request_flow_line
from havre.apps.runtimes.shell import becoming
from havre.apps.variables import CA_NAMES, home, variables
from havre.base.flavors import flavor
from havre.base.ids import UnitId
from havre.drivers.toolchains import Toolchain
from havre.kernel.config import Paths
from havre.kernel.units import Bind, Limits, UnitSpec, Users

__all__ = [
    "build_script",
    "build_spec",
    "cache_key",
    "home",
    "instance_spec",
    "release_key",
    "start_line",
]


# what names a place that an image does not have
NOT_FOR_IMAGES = frozenset({"APP_HOME", "APP_ROOT", "HOME", "LANG", "PATH", "TZ", "USER", *CA_NAMES})
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
    tree: Path | None = None,
    image: tuple[Image, Users] | None = None,
) -> UnitSpec:
    """One instance: the release as it was built, what it writes gone with it.

    tree: of its stack; None: the host's. image: it is started from that, and sees nothing else.
    """
    size = flavor(instance.flavor)
    env = variables(
        app=app,
        deployment=deployment,
        plan=plan,
        toolchains=toolchains,
        instance_id=instance.id,
        number=instance.number,
        kind="production",
        memory_mib=size.memory_mib,
    )
    labels = {"app": app.id, "deployment": deployment.id, "kind": "instance", "generation": str(instance.generation)}
    labels |= {"number": str(instance.number), "commit": deployment.commit_id, "flavor": size.name}
    release = deployment.release_id or deployment.id
    if image is not None:
        return _of_image(
            app, deployment, plan, instance, image, tree=tree, env=env, labels=labels, listen=listen, log=log
        )
    return UnitSpec(
        id=UnitId(instance.id),
        kind="instance",
        argv=("/bin/sh", "-c", start_line(request_flow_line(plan), env)),
        env=env,
        cwd=env["APP_ROOT"],
        limits=Limits(size.memory_bytes, float(size.cpus), shared=size.is_shared),
        log=log,
        labels=labels,
        binds=tuple(Bind(each.source, each.target) for each in toolchains),
        overlays=(Bind(paths.releases / app.id / release, home(app)),),
        uid=app.uid,
        listen=listen,
        port=public_port(plan),
        scratch_bytes=max(64 * 1024**2, size.memory_bytes // 4),
        tree=tree,
    )


def _of_image(
    app: App,
    deployment: Deployment,
    plan: Plan,
    instance: Instance,
    image: tuple[Image, Users],
    *,
    tree: Path | None,
    env: Mapping[str, str],
    labels: Mapping[str, str],
    listen: Path,
    log: Path,
) -> UnitSpec:
    """An instance of an image: its own program, variables and folder, then what the app and the platform say."""
    found, users = image
    argv, binds = images.starting(found, tree)
    size = flavor(instance.flavor)
    told = {name: value for name, value in env.items() if name in deployment.env or name not in NOT_FOR_IMAGES}
    return UnitSpec(
        id=UnitId(instance.id),
        kind="instance",
        argv=argv,
        env={"PATH": DEFAULT_PATH, "HOME": found.user.home} | found.env | told,
        cwd=found.cwd,
        limits=Limits(size.memory_bytes, float(size.cpus), shared=size.is_shared),
        log=log,
        labels=labels,
        uid=app.uid,
        listen=listen,
        port=public_port(plan),
        scratch_bytes=max(64 * 1024**2, size.memory_bytes // 4),
        binds=binds,
        overlays=(Bind(found.root, "/"),),
        users=users,
    )


def start_line(start: str, env: Mapping[str, str]) -> str:
    """The shell's line: the pre-run hook, whose failure is the instance's, then the app.

    The app takes the shell's place when `start` is one plain command, so that SIGTERM reaches it.
    """
    hook = env.get("CC_PRE_RUN_HOOK", "").strip()
    return f"/bin/sh -c {shlex.quote(hook)} || exit $?\n{becoming(start)}" if hook else becoming(start)
