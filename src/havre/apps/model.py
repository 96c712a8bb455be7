"""The nouns of apps, with Clever Cloud's names and states."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from havre.base.ids import AppId, DeploymentId, InstanceId, OwnerId


class AppState(StrEnum):
    """What the owner wants of the app."""

    SHOULD_BE_UP = "SHOULD_BE_UP"
    SHOULD_BE_DOWN = "SHOULD_BE_DOWN"


class DeploymentState(StrEnum):
    """WIP is the only one that is not final."""

    WIP = "WIP"
    OK = "OK"
    FAIL = "FAIL"
    CANCELLED = "CANCELLED"


class Action(StrEnum):
    DEPLOY = "DEPLOY"
    UNDEPLOY = "UNDEPLOY"
    UPSCALE = "UPSCALE"
    DOWNSCALE = "DOWNSCALE"
    REPLACE = "REPLACE"
    STRAIN = "STRAIN"


class InstanceState(StrEnum):
    """Of an instance that is wanted: DEPLOYING until its generation serves, UP while it does, STOPPING after."""

    DEPLOYING = "DEPLOYING"
    UP = "UP"
    STOPPING = "STOPPING"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class App:
    id: AppId
    owner_id: OwnerId
    name: str
    description: str
    runtime: str
    zone: str
    state: AppState
    min_instances: int
    max_instances: int
    min_flavor: str
    max_flavor: str
    build_flavor: str
    separate_build: bool
    lifetime: str
    sticky_sessions: bool
    homogeneous: bool
    cancel_on_push: bool
    force_https: bool
    branch: str
    commit_id: str | None
    serving: DeploymentId | None
    generation: int
    uid: int
    created_at: int
    deployed_at: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Deployment:
    id: DeploymentId
    number: int
    app_id: AppId
    state: DeploymentState
    action: Action
    commit_id: str
    cause: str
    author_id: str
    author_name: str
    operation_id: str | None
    release_id: DeploymentId | None
    env: dict[str, str]
    instances: int
    error: str
    created_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that is wanted; the unit of the same id is what is seen of it."""

    id: InstanceId
    app_id: AppId
    deployment_id: DeploymentId
    generation: int
    number: int
    flavor: str
    commit_id: str
    state: InstanceState
    created_at: int
    deleted_at: int | None
    ended_by: str = ""
    stack: str = ""  # what it sees as its root; empty: the host's /usr


@dataclass(frozen=True, slots=True)
class Release:
    """A built tree on disk, and the plan that made it. `id` is the deployment that built it.

    stack: the one that instances of it ran on when it was built; empty: the host's /usr.
    """

    id: DeploymentId
    app_id: AppId
    commit_id: str
    key: str
    plan: dict[str, Any] = field(default_factory=dict)
    built_at: int | None = None
    stack: str = ""


_ADJECTIVES = ("Bold", "Brisk", "Calm", "Clear", "Eager", "Fair", "Fleet", "Gentle", "Keen", "Lucid", "Merry", "Quiet")
_NOUNS = ("Auk", "Cod", "Eider", "Gannet", "Heron", "Kelp", "Lugger", "Pilot", "Plover", "Sloop", "Tern", "Yawl")


def pretty_name(id: str) -> str:
    """A name that a person can say; the same for the same instance."""
    number = int(id.replace("-", "")[:8], 16)
    return f"{_ADJECTIVES[number % len(_ADJECTIVES)]} {_NOUNS[number // 64 % len(_NOUNS)]}"
