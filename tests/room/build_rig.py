"""Real builds and instances of small apps, in real sandboxes, without a control plane."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread

from havre.apps import files, images, launchers, runtimes, specs, stacks, starting
from havre.apps.model import Action, App, AppState, Deployment, DeploymentState, Instance, InstanceState
from havre.apps.packages import open_toolchains
from havre.apps.runtimes import Plan
from havre.apps.stacks import Roots
from havre.base.ids import AppId, OwnerId, UnitId, new_app_id, new_deployment_id, new_instance_id
from havre.drivers.toolchains import Toolchain, Toolchains
from havre.kernel import config as settings
from havre.kernel import units
from havre.kernel.clock import SystemClock
from havre.kernel.config import Config, Paths
from havre.kernel.units import Exit, Units

LEFT = ("node_modules", "__pycache__", ".venv", "target")  # what a person's own try leaves in an example
COMMIT = "2089cd64a07b66d684bac58b023b55c705dc5ca5"


def an_app(runtime: str, **changes: object) -> App:
    app = App(
        id=AppId(new_app_id()), owner_id=OwnerId("orga_x"), name="shop", description="", runtime=runtime, zone="par",
        state=AppState.SHOULD_BE_UP, min_instances=1, max_instances=1, min_flavor="XS", max_flavor="XS",
        build_flavor="S", separate_build=False, lifetime="REGULAR", sticky_sessions=False, homogeneous=False,
        cancel_on_push=False, force_https=False, branch="master", commit_id=None, serving=None, generation=0,
        uid=220_017, created_at=0, deployed_at=0, deleted=False,
    )  # fmt: skip
    return replace(app, **changes)  # type: ignore[arg-type]


def a_deployment(app: App, env: Mapping[str, str] | None = None) -> Deployment:
    return Deployment(
        id=new_deployment_id(), number=1, app_id=app.id, state=DeploymentState.WIP, action=Action.DEPLOY,
        commit_id=COMMIT, cause="Git", author_id="user_x", author_name="Dev", operation_id=None, release_id=None,
        env=dict(env or {}), instances=1, error="", created_at=0, ended_at=None,
    )  # fmt: skip


def an_instance(app: App, deployment: Deployment) -> Instance:
    return Instance(
        id=new_instance_id(), app_id=app.id, deployment_id=deployment.id, generation=3, number=0, flavor="XS",
        commit_id=COMMIT, state=InstanceState.DEPLOYING, created_at=0, deleted_at=None,
    )  # fmt: skip


@dataclass
class Built:
    """What a build left: how it ended, what it said, and what an instance of it is started from."""

    app: App
    deployment: Deployment
    plan: Plan
    toolchains: tuple[Toolchain, ...]
    exit: Exit
    said: str
    release: Path
    roots: Roots = field(default_factory=Roots)


@dataclass
class Started:
    """An instance that runs."""

    engine: Units
    id: UnitId
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    async def answer(self, path: str = "/", *, port: int = 8080, limit_s: float = 60, accept: str = "identity") -> str:
        """The answer to a GET, as soon as there is one. accept: the encodings that are understood."""
        with anyio.move_on_after(limit_s):
            while (said := await self.ask(path, port=port, accept_encoding=accept)) is None:
                unit = await self.engine.get(self.id)
                assert unit is not None and unit.state != "exited", self.said()
                await anyio.sleep(0.1)
            return said
        raise AssertionError(f"no answer: {self.said()}")

    async def send(self, path: str) -> None:
        """A GET whose answer, if there is one, is nobody's concern."""
        await self.ask(path)

    async def stop(self, *, grace_s: float = 5) -> Exit:
        return await self.engine.stop(self.id, grace_s=grace_s)

    async def ask(self, path: str, *, port: int = 8080, **headers: str) -> str | None:
        """The answer to one GET; None when there is none."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        try:
            async with await self.engine.dial(self.id, port) as stream:
                await stream.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}Connection: close\r\n\r\n".encode())
                said = b""
                while True:
                    try:
                        said += await stream.receive()
                    except anyio.EndOfStream:
                        break
        except (OSError, anyio.BrokenResourceError, Exception):
            return None
        return said.decode(errors="replace") if b"\r\n\r\n" in said else None


@dataclass
class BuildRig:
    paths: Paths
    engine: Units
    config: Config = field(default_factory=Config)
    host: dict[str, str] = field(default_factory=settings.host_environment)
    started: list[UnitId] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stacks = stacks.open_stacks(self.paths.stacks, self.host, now=SystemClock().now)

    def toolchains(self) -> Toolchains:
        return open_toolchains(self.paths.toolchains, self.config.build.packages, self.host)

    async def build(
        self,
        tree: Mapping[str, str] | Path,
        runtime: str,
        env: Mapping[str, str] | None = None,
        *,
        app: App | None = None,
        limit_s: float = 240,
    ) -> Built:
        """Detect and build `tree` (the texts of its files, or a folder), as the steps of a deployment do."""
        app = app or an_app(runtime)
        deployment = a_deployment(app, env)
        release = self.paths.releases / app.id / deployment.id
        if isinstance(tree, Path):
            shutil.copytree(tree, release, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*LEFT))
            tree = {}
        for name, content in tree.items():
            (release / name).parent.mkdir(parents=True, exist_ok=True)
            (release / name).write_text(content)
        source = release / deployment.env.get("APP_FOLDER", "").strip("/")
        plan = runtimes.detect(runtime, runtimes.read_tree(source), deployment.env, memory_mib=1024)
        tools = self.toolchains()
        toolchains = tuple([await tools.ensure(name) for name in plan.toolchains])
        names = dict.fromkeys((*plan.build_toolchains, *plan.toolchains))
        of_build = tuple([await tools.ensure(name, for_build=True) for name in names])
        folder = self.paths.deployments / deployment.id
        (folder / "build").mkdir(parents=True)
        (folder / "build" / "build.sh").write_text(specs.build_script(plan.build))
        cache = files.open_cache(self.paths.cache / app.id, specs.cache_key(plan, of_build, source))
        if os.getuid() == 0:
            if plan.image:
                files.give(release, images.users(app, self.config).first)
                images.give_cache(app, self.config, cache)
            else:
                files.give(release, app.uid)
                files.give(cache, app.uid)
        unit_id = UnitId(new_instance_id())
        roots = await stacks.roots(self.stacks, plan, with_build=bool(plan.build), fresh_s=86_400, tell=print)
        spec = specs.build_spec(
            config=self.config, paths=self.paths, host=self.host, app=app, deployment=deployment, plan=plan,
            toolchains=of_build, unit_id=unit_id, cache=cache, log=folder / "build.log",
            tree=stacks.tree_of(self.stacks, roots.build),
        )  # fmt: skip
        self.started.append(unit_id)
        await self.engine.start(spec)
        with anyio.fail_after(limit_s):
            ended = await self.engine.wait(unit_id)
        said = (folder / "build.log").read_text(errors="replace")
        return Built(app, deployment, plan, toolchains, ended, said, release, roots)

    @asynccontextmanager
    async def instance(self, built: Built) -> AsyncIterator[Started]:
        """An instance of what was built, with what its plan runs beside it, while the block runs."""
        instance = an_instance(built.app, built.deployment)
        source = built.release / built.deployment.env.get("APP_FOLDER", "").strip("/")
        starts = starting.launch_of(built.app, built.deployment, built.plan, source)
        if not starts.is_plain:
            launchers.prepare(specs.launch_folder(self.paths, instance), starts)
        log = self.paths.deployments / built.deployment.id / f"{instance.id}.log"
        spec = specs.instance_spec(
            paths=self.paths, app=built.app, deployment=built.deployment, plan=built.plan,
            toolchains=built.toolchains, instance=instance, log=log,
            doors=specs.Doors(self.paths.app_sockets / "a.sock", self.paths.app_sockets / "a.tcp", self.paths.run / "i" / "a" / "1-0.sock"),
            tree=stacks.tree_of(self.stacks, built.roots.run), starts=starts,
            image=images.image_of(built.plan, built.app, self.config, built.release),
        )  # fmt: skip
        self.started.append(spec.id)
        await self.engine.start(spec)
        try:
            yield Started(self.engine, spec.id, log)
        finally:
            with anyio.CancelScope(shield=True):
                await self.engine.stop(spec.id, grace_s=0)

    async def answer(self, built: Built, path: str = "/") -> str:
        """Start an instance of what was built and return the body of its first answer."""
        async with self.instance(built) as started:
            return await started.answer(path)

    async def end(self) -> None:
        for id in self.started:
            await self.engine.stop(id, grace_s=0)
            await self.engine.forget(id)
        self.engine.stop_helpers()


@contextmanager
def places() -> Iterator[Paths]:
    """Directories of an installation: short for the sockets, and open to the sandbox's user."""
    base = Path(tempfile.mkdtemp(prefix="hvb ", dir="/tmp"))
    paths = Paths(base / "data", base / "run", Path(sys.prefix) / "share" / "havre" / "toolchains")
    paths.create()
    try:
        yield paths
    finally:
        shutil.rmtree(base, ignore_errors=True)


def open_rig(paths: Paths) -> BuildRig:
    return BuildRig(paths, units.open_units(Config(), paths, clock=SystemClock()))
