"""What people may ask of apps: authorised, checked, and written as what is wanted, in one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from havre import edge, governance, observe
from havre.apps import checks, decide, linked, logbook, runtimes, scaling, stacks, tables
from havre.apps.endings import end_deployment
from havre.apps.model import Action, App, AppState, Deployment, DeploymentState
from havre.apps.operations import DeployArgs, Operations, StopArgs
from havre.apps.scale import ScaleArgs
from havre.apps.scaling import Change, Scale
from havre.base import names
from havre.base.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from havre.base.flavors import flavor, rank
from havre.base.ids import OperationId, UserId, new_app_id, new_deployment_id
from havre.governance import Actor, Right
from havre.kernel.kernel import Kernel
from havre.kernel.store import Tx

UNKNOWN_APP = "The application cannot be found"
MOST_ENV_BYTES = 512 * 1024


@dataclass(frozen=True)
class NewApp:
    """What `clever create` says."""

    name: str
    runtime: str
    description: str = ""
    zone: str = "par"
    min_instances: int = 1
    max_instances: int = 1
    min_flavor: str = "XS"
    max_flavor: str = "XS"
    build_flavor: str = "S"
    separate_build: bool = False
    lifetime: str = "REGULAR"
    branch: str = "master"


class Intents:
    """The writes of the apps room. Every method runs inside the caller's transaction."""

    def __init__(self, kernel: Kernel, operations: Operations, *, has_stacks: bool = True) -> None:
        self._kernel = kernel
        self._has_stacks = has_stacks
        self._operations = operations

    def lack(self, runtime: runtimes.Runtime) -> str:
        """What this machine lacks for apps of that kind, with what to do; empty: nothing."""
        return "" if self._has_stacks else stacks.lack(runtime)

    def find(self, tx: Tx, actor: Actor, owner_id: str | None, app_id: str, right: Right) -> App:
        """The app, if `actor` may. With `owner_id` None it may be in any of the actor's organisations.

        Raises NotFoundError for an unknown app, for one of another owner, and for one that is being deleted.
        """
        return find(tx.conn, actor, owner_id, app_id, right)

    def create(self, tx: Tx, actor: Actor, owner_id: str, given: NewApp) -> App:
        owner = governance.authorise(tx.conn, actor, owner_id, Right.WRITE)
        if lack := self.lack(runtimes.of(given.runtime)):
            raise InvalidError(f"apps of type {given.runtime} cannot run here: {lack}")
        checks.lifetime(given.lifetime)
        id = new_app_id()
        made = App(
            id=id,
            owner_id=owner.id,
            name=names.display_name(given.name, what="an application"),
            description=given.description[:400],
            runtime=given.runtime,
            zone=given.zone,
            state=AppState.SHOULD_BE_DOWN,
            min_instances=given.min_instances,
            max_instances=given.max_instances,
            min_flavor=flavor(given.min_flavor).name,
            max_flavor=flavor(given.max_flavor).name,
            build_flavor=flavor(given.build_flavor or "S").name,
            separate_build=given.separate_build,
            lifetime=given.lifetime,
            sticky_sessions=False,
            homogeneous=False,
            cancel_on_push=False,
            force_https=False,
            branch=checks.branch(given.branch or "master"),
            commit_id=None,
            serving=None,
            generation=0,
            uid=tables.free_uid(tx.conn, self._kernel.config.apps.uid_base),
            created_at=tx.now,
            deployed_at=0,
            deleted=False,
        )
        checks.scale(made.min_instances, made.max_instances, made.min_flavor, made.max_flavor)
        tables.insert_app(tx, made)
        self._check_quota(tx, made)
        edge.claim(tx, app_id=id, owner_id=owner.id, fqdn=edge.default_fqdn(tx.conn, id, made.name), is_default=True)
        tx.emit("apps.app.created", owner_id=owner.id, actor_id=actor.user_id, subject=id, app_name=made.name)
        return made

    def update(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, changes: Mapping[str, Any]) -> App:
        """Change what is given (names of App's fields). A new scale of a running app starts an operation."""
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        values = {name: value for name, value in changes.items() if value is not None and value != getattr(app, name)}
        if "name" in values:
            values["name"] = names.display_name(values["name"], what="an application")
        for name in ("min_flavor", "max_flavor", "build_flavor"):
            if name in values:
                values[name] = flavor(values[name]).name
        if "branch" in values:
            checks.branch(values["branch"])
        after = {name: values.get(name, getattr(app, name)) for name in App.__dataclass_fields__}
        checks.scale(after["min_instances"], after["max_instances"], after["min_flavor"], after["max_flavor"])
        if values:
            tables.update_app(tx, app_id, **values)
            if after["max_instances"] > app.max_instances:
                self._check_quota(tx, app)
            if "force_https" in values:
                edge.set_force_https(tx, app_id=app_id, is_on=values["force_https"])
            if "sticky_sessions" in values:
                edge.set_sticky(tx, app_id=app_id, is_on=values["sticky_sessions"])
            tx.emit("apps.app.changed", owner_id=app.owner_id, actor_id=actor.user_id, subject=app_id)
        found = tables.app(tx.conn, app_id)
        assert found is not None
        serving = tables.serving(tx.conn, found)
        if serving and not found.deleted:  # what is under way or asleep takes an allowed scale by itself
            present = Scale(len(serving), serving[0].flavor)
            nearest = scaling.bounds_of(found).nearest(present)
            if nearest != present:
                self.scale(tx, actor, found, Change(nearest, f"{actor.name} asked for it"), cause="Scaling")
        return found

    def _check_quota(self, tx: Tx, app: App) -> None:
        quotas = self._kernel.config.quotas
        linked.check_quota(tx.conn, app.owner_id, default=governance.Quota(quotas.apps, quotas.instances))

    def publish(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, env: Mapping[str, str]) -> App:
        """Replace what the app publishes; the running apps that depend on it are deployed again."""
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        for each in linked.publish(tx, app, dict(env), actor_id=actor.user_id):
            self._deploy(tx, actor, each, str(each.commit_id), Action.DEPLOY, "Dependency")
        return app

    def scale(self, tx: Tx, actor: Actor, app: App, change: Change, *, cause: str) -> Deployment | None:
        """Take another scale of what serves; None when nothing does. The caller has authorised."""
        serving = tables.deployment(tx.conn, app.id, app.serving or "")
        if serving is None:
            return None
        present, to = tables.serving(tx.conn, app), change.to
        was = Scale(len(present), present[0].flavor if present else app.min_flavor)
        size = to.flavor or was.flavor
        is_up = (to.instances, rank(size)) > (was.instances, rank(was.flavor))
        action = Action.UPSCALE if is_up else Action.DOWNSCALE
        made = self._row(tx, actor, app, serving.commit_id, action, cause, env=serving.env, instances=to.instances)
        self._add_log(tx, app, made)
        args = ScaleArgs(app.id, made.id, to.instances, size, change.why)
        operation = self._kernel.operations.start(tx, self._operations.scale, args, key=app.id)
        tables.update_deployment(tx, made.id, operation_id=operation)
        return made

    def delete(self, tx: Tx, actor: Actor, owner_id: str, app_id: str) -> App:
        app = self.find(tx, actor, owner_id, app_id, Right.DELETE)
        self._cancel_all(tx, app, why=f"{actor.name} deleted the app")
        tables.set_asleep(tx, app_id, asleep=False)
        tables.update_app(tx, app_id, deleted=True, state=AppState.SHOULD_BE_DOWN, serving=None)
        edge.release_all(tx, app_id)
        self._kernel.operations.start(tx, self._operations.delete, StopArgs(app_id), key=app_id)
        tx.emit("apps.app.delete_requested", owner_id=app.owner_id, actor_id=actor.user_id, subject=app_id)
        return app

    # variables

    def set_env(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, env: Mapping[str, str]) -> App:
        """Replace all variables."""
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        for name, value in env.items():
            checks.variable(name, value)
        tables.drop_env(tx, app_id)
        for name, value in env.items():
            tables.put_env(tx, app_id, name, value)
        return self._env_changed(tx, actor, app)

    def put_env(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, name: str, value: str) -> App:
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        checks.variable(name, value)
        tables.put_env(tx, app_id, name, value)
        return self._env_changed(tx, actor, app)

    def drop_env(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, name: str) -> App:
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        tables.drop_env(tx, app_id, name)
        return self._env_changed(tx, actor, app)

    def _env_changed(self, tx: Tx, actor: Actor, app: App) -> App:
        size = sum(len(name) + len(value) for name, value in tables.env(tx.conn, app.id).items())
        if size > MOST_ENV_BYTES:
            raise ExhaustedError(f"the variables of an app may have {MOST_ENV_BYTES} bytes in all")
        tx.emit("apps.env.changed", owner_id=app.owner_id, actor_id=actor.user_id, subject=app.id)
        return app

    # deployments

    def push_received(self, tx: Tx, actor: Actor, app_id: str, commit: str) -> Deployment:
        """A push moved the app's branch to `commit`: deploy it.

        What still waited to be deployed is cancelled, for this one replaces it; with `cancel_on_push` what is under
        way is cancelled too.
        """
        app = self.find(tx, actor, None, app_id, Right.WRITE)
        why = f"superseded by the push of {commit[:8]}"
        for each in self._under_way(tx, app):
            if app.cancel_on_push or self._is_queued(tx, each):
                self._cancel_if_may(tx, each, why=why)
        return self._deploy(tx, actor, app, commit, Action.DEPLOY, "Git")

    def redeploy(
        self, tx: Tx, actor: Actor, owner_id: str, app_id: str, *, commit: str | None, use_cache: bool
    ) -> Deployment:
        """Deploy a commit again: the one that serves, when none is named."""
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        wanted = commit or app.commit_id
        if wanted is None:
            raise ConflictError("nothing was deployed yet; push a commit first (clever deploy)")
        checks.commit(wanted)
        return self._deploy(tx, actor, app, wanted, Action.DEPLOY, decide.cause_of(actor), use_cache=use_cache)

    def stop(self, tx: Tx, actor: Actor, owner_id: str, app_id: str) -> Deployment:
        app = self.find(tx, actor, owner_id, app_id, Right.WRITE)
        self._cancel_all(tx, app, why=f"{actor.name} stopped the app")
        tables.set_asleep(tx, app_id, asleep=False)
        tables.update_app(tx, app_id, state=AppState.SHOULD_BE_DOWN, serving=None)
        made = self._row(tx, actor, app, app.commit_id or "", Action.UNDEPLOY, decide.cause_of(actor))
        args = StopArgs(app_id, made.id)
        operation = self._kernel.operations.start(tx, self._operations.undeploy, args, key=app_id)
        tables.update_deployment(tx, made.id, operation_id=operation)
        return made

    def cancel(self, tx: Tx, actor: Actor, owner_id: str, app_id: str, deployment: str) -> Deployment:
        self.find(tx, actor, owner_id, app_id, Right.WRITE)
        found = tables.deployment(tx.conn, app_id, deployment)
        if found is None:
            raise NotFoundError("The deployment cannot be found")
        if found.state is not DeploymentState.WIP or found.operation_id is None:
            raise ConflictError(f"the deployment has ended already ({found.state})")
        self._cancel(tx, found, why=f"by {actor.name}")
        return found

    def serve_again(self, tx: Tx, actor: Actor, app: App, *, cause: str) -> Deployment:
        """What serves, with the variables that it has, on a stack of today's packages. The caller has authorised."""
        serving = tables.deployment(tx.conn, app.id, app.serving or "")
        if serving is None:
            raise ConflictError(f"{app.name} does not run")
        made = self._row(tx, actor, app, serving.commit_id, Action.DEPLOY, cause, env=serving.env)
        args = DeployArgs(app.id, made.id, use_cache=True, fresh=True, again=serving.release_id or "")
        return self._begin(tx, app, made, args)

    def deploy_again(self, tx: Tx, app: App, of: Deployment, *, cause: str) -> Deployment:
        """The commit and the variables of an earlier deployment, by the platform itself."""
        made = self._row(tx, Actor(UserId(""), "Havre", ""), app, of.commit_id, Action.DEPLOY, cause, env=of.env)
        return self._begin(tx, app, made, DeployArgs(app.id, made.id, use_cache=True))

    def _deploy(
        self, tx: Tx, actor: Actor, app: App, commit: str, action: Action, cause: str, *, use_cache: bool = True
    ) -> Deployment:
        made = self._row(tx, actor, app, commit, action, cause)
        return self._begin(tx, app, made, DeployArgs(app.id, made.id, use_cache))

    def _begin(self, tx: Tx, app: App, made: Deployment, args: DeployArgs) -> Deployment:
        tables.update_app(tx, app.id, state=AppState.SHOULD_BE_UP)
        self._add_log(tx, app, made)
        kind = self._operations.task if decide.is_task(app.lifetime, made.env) else self._operations.deploy
        operation = self._kernel.operations.start(tx, kind, args, key=app.id)
        tables.update_deployment(tx, made.id, operation_id=operation)
        return made

    def _add_log(self, tx: Tx, app: App, made: Deployment) -> None:
        """The platform's own lines about the deployment become logs."""
        source = observe.LogSource(
            id=made.id,
            app_id=app.id,
            owner_id=app.owner_id,
            path=logbook.file_of(self._kernel.paths, made.id, "deploy"),
            deployment_id=made.id,
            commit=made.commit_id,
            service=observe.DEPLOY_SERVICE,
        )
        observe.add_source(tx, source)

    def _row(
        self,
        tx: Tx,
        actor: Actor,
        app: App,
        commit: str,
        action: Action,
        cause: str,
        *,
        env: dict[str, str] | None = None,
        instances: int | None = None,
    ) -> Deployment:
        made = Deployment(
            id=new_deployment_id(),
            number=tables.next_number(tx.conn, app.id),
            app_id=app.id,
            state=DeploymentState.WIP,
            action=action,
            commit_id=commit,
            cause=cause,
            author_id=actor.user_id,
            author_name=actor.name,
            operation_id=None,
            release_id=None,
            env=linked.env_for(tx.conn, app) if env is None else env,
            instances=app.min_instances if instances is None else instances,
            error="",
            created_at=tx.now,
            ended_at=None,
        )
        tables.insert_deployment(tx, made)
        facts = {"deployment": made.id, "state": made.state, "action": action, "commit": commit, "cause": cause}
        tx.emit("apps.deployment.began", owner_id=app.owner_id, actor_id=actor.user_id, subject=app.id, **facts)
        return made

    def _under_way(self, tx: Tx, app: App) -> list[Deployment]:
        """What may still be cancelled; a stop is not, once somebody asked for it."""
        rows = tables.deployments(tx.conn, app.id, state=DeploymentState.WIP)
        return [each for each in rows if each.operation_id is not None and each.action is not Action.UNDEPLOY]

    def _is_queued(self, tx: Tx, deployment: Deployment) -> bool:
        """Whether nothing of it has been done: it waits for one before it."""
        seen = self._kernel.operations.view(tx.conn, OperationId(str(deployment.operation_id)))
        return seen is not None and seen.status == "running" and not seen.step

    def _cancel(self, tx: Tx, deployment: Deployment, *, why: str) -> None:
        """Raises ConflictError when it is too late. One that waits has ended at once; one under way is undone first."""
        queued = self._is_queued(tx, deployment)
        self._kernel.operations.cancel(tx, OperationId(str(deployment.operation_id)))
        tables.update_deployment(tx, deployment.id, error=why)
        if queued:
            logbook.say(self._kernel.paths, deployment.id, f"Deployment cancelled: {why}")
            end_deployment(tx, deployment.app_id, deployment.id, DeploymentState.CANCELLED, error=why)
            observe.end_source(tx, deployment.id)

    def _cancel_all(self, tx: Tx, app: App, *, why: str) -> None:
        for each in self._under_way(tx, app):
            self._cancel_if_may(tx, each, why=why)

    def _cancel_if_may(self, tx: Tx, deployment: Deployment, *, why: str) -> None:
        """Past the switch it ends by itself, and what follows waits for it."""
        with contextlib.suppress(ConflictError, NotFoundError):
            self._cancel(tx, deployment, why=why)


def find(conn: Any, actor: Actor, owner_id: str | None, app_id: str, right: Right) -> App:
    """See Intents.find."""
    app = tables.app(conn, app_id)
    if owner_id is not None:
        owner = governance.authorise(conn, actor, owner_id, right)
        if app is None or app.deleted or app.owner_id != owner.id:
            raise NotFoundError(UNKNOWN_APP)
        return app
    if app is None or app.deleted:
        raise NotFoundError(UNKNOWN_APP)
    try:
        governance.authorise(conn, actor, app.owner_id, right)
    except NotFoundError as cause:
        raise NotFoundError(UNKNOWN_APP) from cause
    return app
