"""What an instance of an app is started as: a unit as data. Builds are in `build`, their keys in `cache`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from havre.apps import images, launch
from havre.apps.build import build_script, build_spec
from havre.apps.cache import cache_key, release_key
from havre.apps.images import Image
from havre.apps.launch import Launch
from havre.apps.model import App, Deployment, Instance
from havre.apps.runtimes import Plan, public_port
from havre.apps.runtimes.request_flow.launch import start_line as request_flow_line
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
    "launch_folder",
    "release_key",
    "source_of",
]
PRE_RUN = "CC_PRE_RUN_HOOK"
BYTES_FOR_EACH_FILE = 8192  # a file in memory costs about one KiB even when it is empty
# what names a place that an image does not have
NOT_FOR_IMAGES = frozenset({"APP_HOME", "APP_ROOT", "HOME", "LANG", "PATH", "TZ", "USER", *CA_NAMES})
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def launch_folder(paths: Paths, instance: Instance) -> Path:
    """Where the launcher of an instance stands, when it needs one."""
    return paths.deployments / instance.deployment_id / f"{instance.id}.launch"


def source_of(instance: Instance, service: str = "") -> str:
    """The id of the source of an instance's output: the app's, or that of a service beside it."""
    return f"{instance.id}.{service.removesuffix('.service')}" if service else instance.id


@dataclass(frozen=True)
class Doors:
    """The ways into an instance: the app's socket, that of its TCP redirections, and one of the instance alone."""

    shared: Path
    handed: Path
    own: Path


def instance_spec(
    *,
    paths: Paths,
    app: App,
    deployment: Deployment,
    plan: Plan,
    toolchains: Sequence[Toolchain],
    instance: Instance,
    doors: Doors | None,
    log: Path,
    starts: Launch | None = None,
    tree: Path | None = None,
    image: tuple[Image, Users] | None = None,
) -> UnitSpec:
    """One instance: the release as it was built, what it writes gone with it.

    doors: None for a task. log: of the app; the services beside it write to files beside that.
    starts: what it runs, by default the plan's start after the pre-run hook; unless that is plain, its launcher
    stands in `launch_folder`. tree: of its stack; None: the host's. image: it is started from that, and sees
    nothing else.
    """
    starts = starts or launch.launch_of(start=request_flow_line(plan), env={PRE_RUN: deployment.env.get(PRE_RUN, "")})
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
        cpus=float(size.cpus),
    )
    labels = {"app": app.id, "deployment": deployment.id, "kind": "instance", "generation": str(instance.generation)}
    labels |= {"number": str(instance.number), "commit": deployment.commit_id, "flavor": size.name}
    release = deployment.release_id or deployment.id
    if image is not None:
        return _of_image(
            app, deployment, plan, instance, image, tree=tree, env=env, labels=labels, doors=doors, log=log
        )
    binds = tuple(Bind(each.source, each.target) for each in toolchains)
    if starts.is_plain:
        argv: tuple[str, ...] = ("/bin/sh", "-c", launch.plain_line(starts))
    else:
        argv = ("/bin/sh", f"{launch.FOLDER}/{launch.SCRIPT}")
        binds = (*binds, Bind(launch_folder(paths, instance), launch.FOLDER))
    return UnitSpec(
        id=UnitId(instance.id),
        kind="instance",
        argv=argv,
        env=env,
        cwd=env["APP_ROOT"],
        limits=Limits(size.memory_bytes, float(size.cpus), weight=10 if size.is_shared else 100),
        log=log,
        labels=labels,
        binds=binds,
        overlays=(Bind(paths.releases / app.id / release, home(app)),),
        uid=app.uid,
        listen=doors.shared if doors else None,
        handed=doors.handed if doors else None,
        door=doors.own if doors else None,
        port=public_port(plan),
        scratch_bytes=size.memory_bytes // 2,
        scratch_files=size.memory_bytes // 2 // BYTES_FOR_EACH_FILE,
        logs=tuple(log.with_name(f"{source_of(instance, each)}.log") for each in launch.services(starts)),
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
    doors: Doors | None,
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
        limits=Limits(size.memory_bytes, float(size.cpus), weight=10 if size.is_shared else 100),
        log=log,
        labels=labels,
        uid=app.uid,
        listen=doors.shared if doors else None,
        handed=doors.handed if doors else None,
        door=doors.own if doors else None,
        port=public_port(plan),
        handed_port=plan.tcp_port,
        scratch_bytes=size.memory_bytes // 2,
        scratch_files=size.memory_bytes // 2 // BYTES_FOR_EACH_FILE,
        binds=binds,
        overlays=(Bind(found.root, "/"),),
        users=users,
    )
