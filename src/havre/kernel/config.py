"""One TOML file, read once into a tree of frozen dataclasses.

An unknown key is an error that names the nearest known one. Nothing else reads the environment: what the
host's package tools are configured with is taken here too, as a plain mapping.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from havre.base.errors import InvalidError, UnavailableError


@dataclass(frozen=True)
class AcmeConfig:
    """`[edge.acme]`: the certificate authority for public names. No `directory`: the internal authority alone."""

    directory: str = ""
    email: str = ""
    eab_key_id: str = ""
    eab_key_file: str = ""
    ca_bundle: str = ""


@dataclass(frozen=True)
class EdgeConfig:
    """`[edge]`: names and ports of the front door."""

    base_domain: str = "havre.localhost"
    http_port: int = 8080
    https_port: int = 8443
    bind: str = "127.0.0.1"  # addresses, separated by commas; empty: all
    public_origin: str = ""  # empty: https://localhost:<https_port>
    start_within_s: float = 30.0
    answer_within_s: float = 180.0
    proxy_protocol_from: str = ""
    tcp_ports: str = "5001-5999"
    resolver: str = ""  # empty: the host's
    acme: AcmeConfig = field(default_factory=AcmeConfig)

    @property
    def binds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.strip() for each in self.bind.split(",")))


@dataclass(frozen=True)
class PackagesConfig:
    """`[build.packages]`: where builds get packages. Empty: what the host's own tools are configured with."""

    index_url: str = ""
    npm_registry: str = ""
    maven_repository: str = ""
    cargo_registry: str = ""
    ca_bundle: str = ""
    proxy: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImagesConfig:
    """`[build.images]`: base images of docker apps. layouts: a folder of OCI layouts by name. registry: a host, with
    a port if need be. first_user: of the host's user ids that such apps are given, 65536 each, when we are root."""

    layouts: str = ""
    registry: str = ""
    insecure: bool = False
    first_user: int = 2_000_000_000


@dataclass(frozen=True)
class BuildConfig:
    at_once: int = 0
    timeout_s: float = 1800.0
    memory_mib: int = 4096
    cpus: float = 2.0
    cache_bytes: int = 10 * 1024**3
    repository_bytes: int = 1024**3
    release_bytes: int = 4 * 1024**3
    release_files: int = 500_000
    app_cache_bytes: int = 2 * 1024**3
    reserve_bytes: int = 512 * 1024**2
    reserve_files: int = 20_000
    packages: PackagesConfig = field(default_factory=PackagesConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)


@dataclass(frozen=True)
class StacksConfig:
    """`[stacks]`: trees of Debian packages. refresh_s: how old the lists of packages may be at a deployment.
    kept_s, limit_bytes: how long and how much is kept of what nobody uses."""

    refresh_s: float = 86_400.0
    kept_s: float = 7 * 86_400.0
    limit_bytes: int = 8 * 1024**3


@dataclass(frozen=True)
class AppsConfig:
    health_timeout_s: float = 180.0
    drain_s: float = 30.0
    grace_s: float = 10.0
    releases_kept: int = 2
    health_every_s: float = 30.0
    health_probe_s: float = 10.0
    health_failures: int = 3
    sample_every_s: float = 5.0
    scale_up_after_s: float = 60.0
    scale_down_after_s: float = 600.0
    starts_at_once: int = 0  # 0: two for each processor
    uid_base: int = 200_000
    sandbox_network: str = "10.213.0.0/16"


@dataclass(frozen=True)
class LogsConfig:
    per_app_bytes: int = 64 * 1024**2
    retention_days: int = 7


@dataclass(frozen=True)
class MailConfig:
    """`[mail]`: how letters leave. Without a host they stay in the outbox (`havre outbox`)."""

    host: str = ""
    port: int = 25
    sender: str = "Havre <havre@localhost>"
    tls: str = "if-offered"  # no | if-offered | starttls | tls
    username: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class SshConfig:
    """`[ssh]`: the gateway into instances. Port 0: none."""

    port: int = 8022
    bind: str = ""  # empty: the edge's


@dataclass(frozen=True)
class OutboundConfig:
    """`[outbound]`: where webhooks and drains may go. loopback: `auto` (when the edge itself is on it), yes, no."""

    loopback: str = "auto"


@dataclass(frozen=True)
class QuotasConfig:
    """`[quotas]`: what an organisation may have when nothing else was said; 0: no limit."""

    apps: int = 0
    instances: int = 0


@dataclass(frozen=True)
class StoreConfig:
    url: str = ""  # empty: SQLite in the data directory


@dataclass(frozen=True)
class TrialsConfig:
    """`[trials]`: for the trials of an installation. `kill_at`: "operation/step/phase" at which the control
    plane kills itself (phases: begun, ended, recorded, undone)."""

    kill_at: str = ""


@dataclass(frozen=True)
class Config:
    edge: EdgeConfig = field(default_factory=EdgeConfig)
    build: BuildConfig = field(default_factory=BuildConfig)
    stacks: StacksConfig = field(default_factory=StacksConfig)
    apps: AppsConfig = field(default_factory=AppsConfig)
    logs: LogsConfig = field(default_factory=LogsConfig)
    mail: MailConfig = field(default_factory=MailConfig)
    ssh: SshConfig = field(default_factory=SshConfig)
    outbound: OutboundConfig = field(default_factory=OutboundConfig)
    quotas: QuotasConfig = field(default_factory=QuotasConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    trials: TrialsConfig = field(default_factory=TrialsConfig)
    data: str = "data"

    @property
    def origin(self) -> str:
        """The bare origin of the API, console and git, as clients see it."""
        port = "" if self.edge.https_port == 443 else f":{self.edge.https_port}"
        return self.edge.public_origin or f"https://localhost{port}"

    @property
    def allows_loopback(self) -> bool:
        """Whether webhooks and drains may go to this machine itself."""
        own = self.edge.bind in ("localhost", "::1") or self.edge.bind.startswith("127.")
        return own if self.outbound.loopback == "auto" else self.outbound.loopback == "yes"


@dataclass(frozen=True)
class Paths:
    """Where things are. `run` is short, because a socket's path may have 107 bytes."""

    data: Path
    run: Path
    toolchains: Path

    @property
    def stacks(self) -> Path:
        """Shared by the installations of this environment where we may write there, else our own."""
        shared = self.toolchains.with_name("stacks")
        writable = os.access(shared if shared.exists() else shared.parent, os.W_OK)
        return shared if writable else self.data / "stacks"

    @property
    def git(self) -> Path:
        return self.data / "git"

    @property
    def releases(self) -> Path:
        return self.data / "releases"

    @property
    def cache(self) -> Path:
        return self.data / "cache"

    @property
    def units(self) -> Path:
        return self.data / "units"

    @property
    def edge(self) -> Path:
        return self.data / "edge"

    @property
    def deployments(self) -> Path:
        return self.data / "deployments"

    @property
    def app_sockets(self) -> Path:
        return self.run / "apps"

    @property
    def routes(self) -> Path:
        return self.run / "routes"

    def create(self) -> None:
        """Make every directory, private to us; again after a reboot took `run` away. Raises UnavailableError."""
        try:
            self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.run.stat().st_uid != os.getuid():
                raise UnavailableError(f"{self.run} belongs to somebody else; remove it")
            self.run.chmod(0o711 if os.getuid() == 0 else 0o700)
            inside = (self.git, self.releases, self.cache, self.units, self.edge, self.deployments)
            for each in (self.data, *inside, self.app_sockets, self.routes, self.run / "units"):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.toolchains.mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise UnavailableError(f"the data directory {self.data} cannot be made: {cause.strerror}") from cause


def paths_of(data: Path, environment: Mapping[str, str] | None = None) -> Paths:
    """The paths of an installation in `data`."""
    env = os.environ if environment is None else environment  # noqa: TID251 - read once, here
    data = data.absolute()
    tag = hashlib.sha256(str(data).encode()).hexdigest()[:8]
    uid = os.getuid()
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if uid == 0:
        run = Path("/run") / f"havre-{tag}"
    elif runtime and len(runtime) < 40 and os.access(runtime, os.W_OK):
        run = Path(runtime) / f"havre-{tag}"
    else:
        run = Path("/tmp") / f"havre-{uid}-{tag}"
    return Paths(data=data, run=run, toolchains=Path(sys.prefix) / "share" / "havre" / "toolchains")


def host_environment() -> dict[str, str]:
    """The environment of this process: what the host's package tools are configured with, and no more."""
    return dict(os.environ)  # noqa: TID251 - read once, here


def load(file: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read `file` (none: the defaults), then apply `overrides`, dotted keys such as `edge.https_port`.

    Raises InvalidError with the file, the key, and what is accepted.
    """
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text())
        except OSError as cause:
            raise InvalidError(f"the settings file {file} cannot be read: {cause.strerror}") from cause
        except tomllib.TOMLDecodeError as cause:
            raise InvalidError(f"the settings file {file} is not TOML: {cause}") from cause
    for dotted, value in (overrides or {}).items():
        if value is not None:
            *parents, last = dotted.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    config: Config = _build(Config, tree, at=str(file) if file else "settings", prefix="")
    return config


def _build(kind: Any, tree: Mapping[str, Any], *, at: str, prefix: str) -> Any:
    hints = get_type_hints(kind)
    known = {each.name for each in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known here: {', '.join(sorted(known))}"
            raise InvalidError(f"{at}: there is no setting {prefix}{key}{hint}")
        values[key] = _value(hints[key], value, at=at, name=prefix + key)
    return kind(**values)


def _value(hint: Any, value: Any, *, at: str, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InvalidError(f"{at}: {name} is a table of settings, such as [{name}]")
        return _build(hint, value, at=at, prefix=name + ".")
    if hint == dict[str, str]:
        if isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()):
            return dict(value)
        raise InvalidError(f"{at}: {name} is a table of texts")
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InvalidError(f"{at}: {name} is a {hint.__name__}, not {value!r}")
    return value
