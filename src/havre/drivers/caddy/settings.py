"""What the configuration is made from, and the names of what Caddy reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from havre.drivers.keeper import Door


class Mark(enum.StrEnum):
    """The first character of a kept link: what the proxy need not look for. None can begin a part of a prefix."""

    PLAIN = "="  # a host, no prefix of it is a name
    FORCED = "+"  # the same, and its plain HTTP is sent to HTTPS
    OTHER = "@"


@dataclass(frozen=True)
class EdgeSettings:
    """What Caddy is told. `storage` is its own place, `run` has the sockets, routes and certificates.

    bind: addresses, separated by commas; empty for every address of the machine.
    secret: a part of the path at which Caddy asks itself for certificates and keys.
    proxy_protocol_from: ranges of addresses whose PROXY protocol header is believed.
    """

    run: Path
    storage: Path
    access_log: Path
    caddy_log: Path
    base_domain: str
    bind: str
    http_port: int
    https_port: int
    own_hosts: tuple[str, ...] = ()  # more names of the control plane
    log_roll_mib: int = 32
    log_files_kept: int = 4
    dial_for_s: float = 5.0
    answer_within_s: float = 180.0
    secret: str = ""
    proxy_protocol_from: tuple[str, ...] = ()

    @property
    def admin_socket(self) -> Path:
        return self.run / "caddy-admin.sock"

    @property
    def binds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.strip() for each in self.bind.split(",")))

    @property
    def control_hosts(self) -> tuple[str, ...]:
        names = ("localhost", "127.0.0.1", f"api.{self.base_domain}", f"console.{self.base_domain}", *self.own_hosts)
        return tuple(dict.fromkeys(names))


def route_name(fqdn: str) -> str:
    """The file that stands for `fqdn` in each of the directories: `*` is not for file names, `_` is in no host name."""
    host, _, prefix = fqdn.partition("/")
    if host.startswith("*."):
        host = "_" + host[1:]
    return f"{host}/{prefix}.sock" if prefix else f"{host}.sock"


def fqdn_of(name: str) -> str:
    """Of which `name` is the `route_name`."""
    host, _, prefix = name.removesuffix(".sock").partition("/")
    if host.startswith("_."):
        host = "*" + host[1:]
    return f"{host}/{prefix}" if prefix else host


def doors(settings: EdgeSettings) -> tuple[Door, ...]:
    """The sockets that Caddy listens on: for each address HTTPS over TCP and over UDP (HTTP/3), then plain HTTP."""
    found: list[Door] = []
    for host in settings.binds:
        found += [Door("tcp", host, settings.https_port), Door("udp", host, settings.https_port)]
        found.append(Door("tcp", host, settings.http_port))
    return tuple(found)
