"""What a runtime answers: how an app is built and started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from havre.apps.runtimes.tree import Tree


@dataclass(frozen=True)
class Command:
    """One step of a build: a program with its arguments, or a hook, which by contract is a line for the shell.

    quiet: the build log has its name alone.
    """

    name: str
    argv: tuple[str, ...] = ()
    hook: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Part:
    """One program of the request flow: listens on `port`, and `start` is the shell's line that becomes it."""

    name: str
    port: int
    start: str


@dataclass(frozen=True)
class Plan:
    """`build` runs in order, any failure ends it; `start` is a line for the shell that becomes the app.

    toolchains: names that `drivers.toolchains` knows. lock_files: what the dependency cache is keyed by.
    env: for the build and the app; in its values `$APP_ROOT` stands for the app's folder, `$MIB_60` for 60 per cent
    of the memory that the process has (any other number alike), `$HEAP_MIB` for three quarters of it, `$CPUS` for its
    processors. build_env: above it in the build. notes: lines for the build log. packages: Debian packages that the
    build and the app need beyond the base stack. workers: lines for the shell, each a background process that runs
    beside the app in every instance. build_packages, build_toolchains: what only the build needs. kept: the only files
    of the build that are kept, relative to the app's folder, unless CC_OVERRIDE_BUILDCACHE says otherwise; empty: all.
    dependencies: folders of the app with what the build installs, for CC_CACHE_DEPENDENCIES. keeps_dependencies: they
    are kept unless the app says no. flow: what stands in front of the app inside its instance, the outermost first.
    port: the app's own, told to it as PORT. image: the build leaves an image, which is the instance's whole root and
    says how it starts. tcp_port: where its TCP redirections lead.
    """

    runtime: str
    toolchains: tuple[str, ...]
    build: tuple[Command, ...]
    start: str
    env: dict[str, str] = field(default_factory=dict)
    lock_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    build_packages: tuple[str, ...] = ()
    flow: tuple[Part, ...] = ()
    port: int = 8080
    image: bool = False
    tcp_port: int = 4040
    workers: tuple[str, ...] = ()
    build_toolchains: tuple[str, ...] = ()
    build_env: dict[str, str] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    keeps_dependencies: bool = False
    kept: tuple[str, ...] = ()


class Runtime(Protocol):
    """One kind of app. Siblings do not know each other."""

    slug: str  # what `clever create -t` takes
    type: str
    name: str
    variant_id: str
    variables: frozenset[str]  # the CC_ variables that it honours besides the common ones
    packages: tuple[str, ...]  # Debian packages that most of its apps need beyond the base stack
    programs: tuple[str, ...]  # those in /usr/bin that its apps need; a host without stacks must have them

    def detect(self, tree: Tree, env: Mapping[str, str], *, memory_mib: int) -> Plan:
        """Raises InvalidError naming what was looked for and what to do."""
        ...


def is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in {"true", "1", "yes", "enabled"}
