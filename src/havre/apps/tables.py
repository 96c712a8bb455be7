"""SQL of apps: what is wanted of them, and what was done."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from havre.apps.model import Action, App, AppState, Deployment, DeploymentState, Instance, InstanceState, Release
from havre.kernel.store import Schema, Tx

METADATA = sa.MetaData()
APP = sa.Table(
    "app",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("description", sa.String(400), nullable=False),
    sa.Column("runtime", sa.String(40), nullable=False),
    sa.Column("zone", sa.String(40), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("min_instances", sa.Integer, nullable=False),
    sa.Column("max_instances", sa.Integer, nullable=False),
    sa.Column("min_flavor", sa.String(8), nullable=False),
    sa.Column("max_flavor", sa.String(8), nullable=False),
    sa.Column("build_flavor", sa.String(8), nullable=False),
    sa.Column("separate_build", sa.Boolean, nullable=False),
    sa.Column("lifetime", sa.String(12), nullable=False),
    sa.Column("sticky_sessions", sa.Boolean, nullable=False),
    sa.Column("homogeneous", sa.Boolean, nullable=False),
    sa.Column("cancel_on_push", sa.Boolean, nullable=False),
    sa.Column("force_https", sa.Boolean, nullable=False),
    sa.Column("branch", sa.String(200), nullable=False),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("serving", sa.String(64)),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("uid", sa.Integer, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("deployed_at", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
)
APP_ENV = sa.Table(
    "app_env",
    METADATA,
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(256), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
DEPLOYMENT = sa.Table(
    "deployment",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("action", sa.String(12), nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("cause", sa.String(240), nullable=False),
    sa.Column("author_id", sa.String(64), nullable=False),
    sa.Column("author_name", sa.String(80), nullable=False),
    sa.Column("operation_id", sa.String(64)),
    sa.Column("release_id", sa.String(64)),
    sa.Column("env", sa.JSON, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.UniqueConstraint("app_id", "number"),
)
RELEASE = sa.Table(
    "app_release",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("plan", sa.JSON, nullable=False),
    sa.Column("built_at", sa.BigInteger),
    sa.Column("stack", sa.String(64), nullable=False, server_default=""),
)
INSTANCE = sa.Table(
    "instance",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("deployment_id", sa.String(64), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("flavor", sa.String(8), nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("deleted_at", sa.BigInteger),
    sa.Column("ended_by", sa.String(20), nullable=False),
    sa.Column("stack", sa.String(64), nullable=False, server_default=""),
)

APP_LOAD = sa.Table(
    "app_load",
    METADATA,
    sa.Column("app_id", sa.String(64), sa.ForeignKey("app.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("asleep", sa.Boolean, nullable=False),
    sa.Column("requests_per_s", sa.Float, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)


def _remember_stacks(conn: sa.Connection) -> None:
    """Releases and instances know the stack that they are for; what was there before saw the host's /usr."""
    for table in (RELEASE, INSTANCE):
        if "stack" not in {each["name"] for each in sa.inspect(conn).get_columns(table.name)}:
            conn.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN stack VARCHAR(64) NOT NULL DEFAULT ''"))


def _remember_loads(conn: sa.Connection) -> None:
    """How much each app is asked, and which sleep; a cause has room for its reason."""
    APP_LOAD.create(conn, checkfirst=True)
    if conn.dialect.name != "sqlite":  # which does not bound its texts
        conn.execute(sa.text("ALTER TABLE deployment ALTER COLUMN cause TYPE VARCHAR(240)"))


def _link_apps(conn: sa.Connection) -> None:
    """Dependencies, what apps publish, tags."""
    METADATA.create_all(conn)


def _keep_usage(conn: sa.Connection) -> None:
    """What apps used outlives the control plane."""
    METADATA.create_all(conn)


MIGRATIONS = (METADATA.create_all, _remember_stacks, _remember_loads, _link_apps, _keep_usage)
SCHEMA = Schema("apps", METADATA, MIGRATIONS)


def _app(row: sa.Row[Any]) -> App:
    return App(**{**row._mapping, "state": AppState(row.state)})


def _deployment(row: sa.Row[Any]) -> Deployment:
    return Deployment(**{**row._mapping, "state": DeploymentState(row.state), "action": Action(row.action)})


def _instance(row: sa.Row[Any]) -> Instance:
    return Instance(**{**row._mapping, "state": InstanceState(row.state)})


def app(conn: sa.Connection, id: str) -> App | None:
    row = conn.execute(sa.select(APP).where(APP.c.id == id)).one_or_none()
    return _app(row) if row else None


def apps(conn: sa.Connection, *, owner_ids: list[str] | None = None) -> list[App]:
    query = sa.select(APP).order_by(APP.c.created_at, APP.c.id)
    if owner_ids is not None:
        query = query.where(APP.c.owner_id.in_(owner_ids), ~APP.c.deleted)
    return [_app(row) for row in conn.execute(query)]


class Outline(NamedTuple):
    """What a list of many apps shows of one."""

    id: str
    name: str
    runtime: str
    state: str
    homogeneous: bool
    commit_id: str | None


_OUTLINE = sa.select(*(APP.c[name] for name in Outline._fields)).order_by(APP.c.created_at, APP.c.id)


def outlines(conn: sa.Connection, owner_id: str) -> list[Outline]:
    rows = conn.execute(_OUTLINE.where(APP.c.owner_id == owner_id, ~APP.c.deleted))
    return [Outline(*row) for row in rows]


def insert_app(tx: Tx, app: App) -> None:
    tx.conn.execute(sa.insert(APP).values(**{name: getattr(app, name) for name in App.__dataclass_fields__}))


def update_app(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(APP).where(APP.c.id == id).values(**values))


def delete_app(tx: Tx, id: str) -> None:
    for table in (INSTANCE, RELEASE, DEPLOYMENT, APP_ENV, APP_LOAD):
        tx.conn.execute(sa.delete(table).where(table.c.app_id == id))
    tx.conn.execute(sa.delete(APP).where(APP.c.id == id))


def free_uid(conn: sa.Connection, base: int) -> int:
    """The smallest unused one: a user id may come back only after its app and all its files are gone."""
    used = set(conn.execute(sa.select(APP.c.uid)).scalars())
    return next(uid for uid in range(base, base + len(used) + 1) if uid not in used)


def env(conn: sa.Connection, app_id: str) -> dict[str, str]:
    query = sa.select(APP_ENV.c.name, APP_ENV.c.value).where(APP_ENV.c.app_id == app_id).order_by(APP_ENV.c.name)
    return {row.name: row.value for row in conn.execute(query)}


def put_env(tx: Tx, app_id: str, name: str, value: str) -> None:
    where = (APP_ENV.c.app_id == app_id) & (APP_ENV.c.name == name)
    if not tx.conn.execute(sa.update(APP_ENV).where(where).values(value=value)).rowcount:
        tx.conn.execute(sa.insert(APP_ENV).values(app_id=app_id, name=name, value=value))


def drop_env(tx: Tx, app_id: str, name: str | None = None) -> None:
    query = sa.delete(APP_ENV).where(APP_ENV.c.app_id == app_id)
    tx.conn.execute(query if name is None else query.where(APP_ENV.c.name == name))


def env_named(conn: sa.Connection, name: str) -> dict[str, str]:
    """The value of one variable in every app that has it."""
    query = sa.select(APP_ENV.c.app_id, APP_ENV.c.value).where(APP_ENV.c.name == name)
    return {row.app_id: row.value for row in conn.execute(query)}


def set_asleep(tx: Tx, app_id: str, *, asleep: bool) -> None:
    _put_load(tx, app_id, asleep=asleep)


def put_load(tx: Tx, app_id: str, requests_per_s: float) -> None:
    _put_load(tx, app_id, requests_per_s=requests_per_s, at=tx.now)


def _put_load(tx: Tx, app_id: str, **values: Any) -> None:
    if not tx.conn.execute(sa.update(APP_LOAD).where(APP_LOAD.c.app_id == app_id).values(**values)).rowcount:
        row = {"app_id": app_id, "asleep": False, "requests_per_s": 0.0, "at": tx.now} | values
        tx.conn.execute(sa.insert(APP_LOAD).values(**row))


def asleep(conn: sa.Connection) -> frozenset[str]:
    """The apps that are scaled to zero."""
    return frozenset(conn.execute(sa.select(APP_LOAD.c.app_id).where(APP_LOAD.c.asleep)).scalars())


def loads(conn: sa.Connection) -> dict[str, float]:
    """Requests a second of each app, as averaged last."""
    return {row.app_id: row.requests_per_s for row in conn.execute(sa.select(APP_LOAD))}


def next_number(conn: sa.Connection, app_id: str) -> int:
    query = sa.select(sa.func.coalesce(sa.func.max(DEPLOYMENT.c.number), 0)).where(DEPLOYMENT.c.app_id == app_id)
    return int(conn.execute(query).scalar_one()) + 1


def insert_deployment(tx: Tx, made: Deployment) -> None:
    tx.conn.execute(
        sa.insert(DEPLOYMENT).values(**{name: getattr(made, name) for name in Deployment.__dataclass_fields__})
    )


def update_deployment(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(DEPLOYMENT).where(DEPLOYMENT.c.id == id).values(**values))


def end_deployment(tx: Tx, id: str, state: DeploymentState, *, error: str = "") -> bool:
    """Move a WIP deployment to its end; False when it has ended already."""
    where = (DEPLOYMENT.c.id == id) & (DEPLOYMENT.c.state == DeploymentState.WIP)
    return bool(
        tx.conn.execute(sa.update(DEPLOYMENT).where(where).values(state=state, error=error, ended_at=tx.now)).rowcount
    )


def deployment(conn: sa.Connection, app_id: str, id: str) -> Deployment | None:
    """By its id, or by its number in the app."""
    which = DEPLOYMENT.c.number == int(id) if id.isdigit() else DEPLOYMENT.c.id == id
    row = conn.execute(sa.select(DEPLOYMENT).where(DEPLOYMENT.c.app_id == app_id, which)).one_or_none()
    return _deployment(row) if row else None


def deployments(
    conn: sa.Connection,
    app_id: str,
    *,
    limit: int | None = None,
    offset: int = 0,
    action: str | None = None,
    state: DeploymentState | None = None,
) -> list[Deployment]:
    """Newest first."""
    query = sa.select(DEPLOYMENT).where(DEPLOYMENT.c.app_id == app_id).order_by(DEPLOYMENT.c.number.desc())
    if action is not None:
        query = query.where(DEPLOYMENT.c.action == action)
    if state is not None:
        query = query.where(DEPLOYMENT.c.state == state)
    return [_deployment(row) for row in conn.execute(query.offset(offset).limit(limit))]


def last_deployments(conn: sa.Connection, owner_id: str) -> dict[str, Deployment]:
    """The newest one of each app of an owner."""
    newest = sa.select(DEPLOYMENT.c.app_id, sa.func.max(DEPLOYMENT.c.number).label("number"))
    newest = newest.join(APP, APP.c.id == DEPLOYMENT.c.app_id).where(APP.c.owner_id == owner_id)
    last = newest.group_by(DEPLOYMENT.c.app_id).subquery()
    on = (DEPLOYMENT.c.app_id == last.c.app_id) & (DEPLOYMENT.c.number == last.c.number)
    return {row.app_id: _deployment(row) for row in conn.execute(sa.select(DEPLOYMENT).join(last, on))}


def instances_of_owner(conn: sa.Connection, owner_id: str) -> dict[str, list[Instance]]:
    """The instances of each app of an owner that are not gone."""
    query = sa.select(INSTANCE).join(APP, APP.c.id == INSTANCE.c.app_id)
    query = query.where(APP.c.owner_id == owner_id, INSTANCE.c.state != InstanceState.DELETED)
    found: dict[str, list[Instance]] = {}
    for row in conn.execute(query):
        found.setdefault(row.app_id, []).append(_instance(row))
    return found


def insert_release(tx: Tx, made: Release) -> None:
    tx.conn.execute(sa.delete(RELEASE).where(RELEASE.c.id == made.id))
    tx.conn.execute(sa.insert(RELEASE).values(**{name: getattr(made, name) for name in Release.__dataclass_fields__}))


def update_release(tx: Tx, id: str, **values: Any) -> None:
    tx.conn.execute(sa.update(RELEASE).where(RELEASE.c.id == id).values(**values))


def release(conn: sa.Connection, id: str) -> Release | None:
    row = conn.execute(sa.select(RELEASE).where(RELEASE.c.id == id)).one_or_none()
    return Release(**row._mapping) if row else None


def releases(conn: sa.Connection, app_id: str | None = None) -> list[Release]:
    query = sa.select(RELEASE).order_by(RELEASE.c.built_at.desc())
    query = query if app_id is None else query.where(RELEASE.c.app_id == app_id)
    return [Release(**row._mapping) for row in conn.execute(query)]


def delete_release(tx: Tx, id: str) -> None:
    tx.conn.execute(sa.delete(RELEASE).where(RELEASE.c.id == id))


def insert_instance(tx: Tx, made: Instance) -> None:
    tx.conn.execute(sa.insert(INSTANCE).values(**{name: getattr(made, name) for name in Instance.__dataclass_fields__}))


def set_instance_state(tx: Tx, id: str, state: InstanceState, *, ended_by: str = "") -> None:
    values: dict[str, Any] = {"state": state}
    if state is InstanceState.DELETED:
        values |= {"deleted_at": tx.now, "ended_by": ended_by}
    query = sa.update(INSTANCE).where(INSTANCE.c.id == id, INSTANCE.c.state != InstanceState.DELETED)
    tx.conn.execute(query.values(**values))


def instances(conn: sa.Connection, *, app_id: str | None = None, with_deleted: bool = False) -> list[Instance]:
    query = sa.select(INSTANCE).order_by(INSTANCE.c.generation, INSTANCE.c.number, INSTANCE.c.created_at)
    query = query if app_id is None else query.where(INSTANCE.c.app_id == app_id)
    query = query if with_deleted else query.where(INSTANCE.c.state != InstanceState.DELETED)
    return [_instance(row) for row in conn.execute(query)]


def serving(conn: sa.Connection, app: App) -> list[Instance]:
    """The instances that serve the app: up, of its generation."""
    found = instances(conn, app_id=app.id)
    return [each for each in found if each.state is InstanceState.UP and each.generation == app.generation]


def instance(conn: sa.Connection, id: str) -> Instance | None:
    row = conn.execute(sa.select(INSTANCE).where(INSTANCE.c.id == id)).one_or_none()
    return _instance(row) if row else None


def crashes_since(conn: sa.Connection, at: int) -> dict[str, list[int]]:
    """By app, the moments at which its instances ended by themselves or had to be, oldest first."""
    by_itself = INSTANCE.c.ended_by.in_(("crash", "hung"))
    query = sa.select(INSTANCE.c.app_id, INSTANCE.c.deleted_at).where(by_itself, INSTANCE.c.deleted_at > at)
    found: dict[str, list[int]] = {}
    for row in conn.execute(query.order_by(INSTANCE.c.deleted_at)):
        found.setdefault(row.app_id, []).append(row.deleted_at)
    return found


def forget_instances(tx: Tx, *, before: int, most: int) -> None:
    """Of instances that are gone, forget those older than `before` and all but the `most` last of each app."""
    gone = INSTANCE.c.state == InstanceState.DELETED
    tx.conn.execute(sa.delete(INSTANCE).where(gone, INSTANCE.c.deleted_at < before))
    order = sa.func.row_number().over(partition_by=INSTANCE.c.app_id, order_by=INSTANCE.c.deleted_at.desc())
    ranked = sa.select(INSTANCE.c.id, order.label("place")).where(gone).subquery()
    tx.conn.execute(sa.delete(INSTANCE).where(INSTANCE.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place > most))))


def forget_scalings(tx: Tx, *, before: int) -> None:
    """Rows that the platform wrote by itself do not grow for ever."""
    by_itself = DEPLOYMENT.c.action.in_((Action.UPSCALE, Action.DOWNSCALE, Action.REPLACE, Action.STRAIN))
    tx.conn.execute(sa.delete(DEPLOYMENT).where(by_itself, DEPLOYMENT.c.ended_at < before))
