"""What the room is made of, from a kernel: the proxy, the gate, the routes and the certificates of an installation."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from havre.base.errors import InvalidError
from havre.base.secret import Secret
from havre.drivers import acme
from havre.drivers.caddy import Caddy, EdgeSettings
from havre.drivers.tcpgate import Gate
from havre.drivers.x509 import root_file, write
from havre.edge import act, tables
from havre.edge.certificates.act import Places
from havre.edge.certificates.model import Site
from havre.edge.certificates.reconcile import Certificates, Platform
from havre.edge.certificates.reconcile import Figures as CertificateFigures
from havre.edge.model import Domain
from havre.edge.reconcile import Routes
from havre.kernel.config import AcmeConfig, Config, Paths
from havre.kernel.kernel import Kernel


def domain_of(kernel: Kernel) -> Domain:
    """What names are checked against in this installation."""
    longest = max(len(str(kernel.paths.run / "routes")) + len("/" + act.SUFFIX), len(str(kernel.paths.run / "s")) + 9)
    return Domain(kernel.config.edge.base_domain, act.SOCKET_PATH_LIMIT - longest)


def ports_of(config: Config) -> tuple[int, int]:
    """The first and the last public TCP port. Raises InvalidError naming the setting."""
    first, _, last = config.edge.tcp_ports.partition("-")
    try:
        found = int(first), int(last or first)
    except ValueError as cause:
        raise InvalidError("the setting edge.tcp_ports is a range of ports, such as 5001-5999") from cause
    if not 1024 <= found[0] <= found[1] <= 65535:
        raise InvalidError("the setting edge.tcp_ports must lie between 1024 and 65535, the lower port first")
    return found


def routes_of(kernel: Kernel) -> Routes:
    within_s = kernel.config.edge.start_within_s
    return Routes(kernel.store, kernel.paths, kernel.clock, within_s, lambda path: kernel.units.waiting(path))


def gate_of(kernel: Kernel) -> Gate:
    run = kernel.paths.run
    return Gate(act.folder(run, "tcp"), run / "tcpgate.sock", kernel.config.edge.binds)


def proxy_of(kernel: Kernel, *, has_gate: bool = False) -> Caddy:
    """The proxy and, for an installation with TCP redirections, the gate beside it."""
    edge, paths = kernel.config.edge, kernel.paths
    settings = EdgeSettings(
        run=paths.run,
        storage=paths.edge / "storage",
        access_log=access_log(paths),
        caddy_log=paths.edge / "caddy.log",
        base_domain=edge.base_domain,
        bind=edge.bind,
        http_port=edge.http_port,
        https_port=edge.https_port,
        own_hosts=_own_hosts(kernel.config),
        answer_within_s=edge.answer_within_s,
        secret=_secret(kernel),
        proxy_protocol_from=tuple(each.strip() for each in edge.proxy_protocol_from.split(",") if each.strip()),
    )
    gate = gate_of(kernel).program(output=paths.edge / "tcpgate.out")
    return Caddy(paths.edge, settings, kernel.clock, beside=(gate,) if has_gate else ())


def certificates_of(kernel: Kernel, figures: CertificateFigures | None = None) -> Certificates:
    """Opens the internal authority, and makes it the first time."""
    paths, config = kernel.paths, kernel.config
    folder = paths.edge / "ca"
    _move_older_authority(paths, folder)
    return Certificates(
        store=kernel.store,
        clock=kernel.clock,
        rng=kernel.rng,
        places=Places(paths.run / "certs", paths.edge / "certificates", paths.run / "acme"),
        platform=platform_of(config),
        authority=kernel.notary.authority(folder, now=kernel.clock.now()),
        directory=_directory(config.edge.acme),
        read_sites=tables.sites,
        doubted=kernel.aging.now,
        figures=figures,
    )


def platform_of(config: Config) -> Platform:
    """The hosts of the platform itself. Below a base domain of one label no client believes a wildcard."""
    base = config.edge.base_domain
    wildcard = Site(f"*.{base}") if "." in base else None
    hosts = ["localhost", base, f"api.{base}", f"console.{base}", *_own_hosts(config)]
    hosts += [wildcard.host] if wildcard is not None else []
    addresses = ["127.0.0.1", "::1", *(each for each in config.edge.binds if each not in ("", "0.0.0.0", "::"))]
    unique = tuple(dict.fromkeys(hosts))
    return Platform(unique, tuple(dict.fromkeys([*unique, *addresses])), wildcard)


def access_log(paths: Paths) -> Path:
    """One JSON object a line, of every request to an app. It rolls: the file is renamed and begun anew."""
    return paths.edge / "access.log"


def ca_file(paths: Paths) -> Path:
    """The root certificate of the internal authority (PEM)."""
    return root_file(paths.edge / "ca")


def _own_hosts(config: Config) -> tuple[str, ...]:
    origin = urlsplit(config.edge.public_origin).hostname
    return (origin,) if origin else ()


def _secret(kernel: Kernel) -> str:
    """What only the proxy and we know, made once."""
    file = kernel.paths.edge / "secret"
    if not file.exists():
        kernel.paths.edge.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(file, f"{kernel.rng.getrandbits(256):064x}", durably=True)
    return file.read_text()


def _directory(config: AcmeConfig) -> acme.Directory | None:
    """Raises InvalidError naming the setting that is wrong."""
    if not config.directory:
        return None
    if not config.directory.startswith("https://"):
        raise InvalidError("the setting edge.acme.directory is the https:// address of an ACME directory")
    if bool(config.eab_key_id) != bool(config.eab_key_file):
        raise InvalidError("the settings edge.acme.eab_key_id and edge.acme.eab_key_file belong together")
    key = None
    if config.eab_key_file:
        try:
            key = Secret(Path(config.eab_key_file).read_text().strip())
        except OSError as cause:
            raise InvalidError(f"edge.acme.eab_key_file {config.eab_key_file} cannot be read") from cause
    return acme.Directory(config.directory, config.email, config.eab_key_id, key, config.ca_bundle)


def _move_older_authority(paths: Paths, folder: Path) -> None:
    """Before it was ours, the authority was the proxy's; clients trust it already."""
    older = paths.edge / "storage" / "pki" / "authorities" / "local"
    if not root_file(folder).exists() and (older / "root.crt").exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(older / "root.key", folder / "root.key")
        shutil.copy2(older / "root.crt", folder / "root.crt")
