"""Where builds fetch packages from: the operator's `[build.packages]`, else what the host's own tools are told.

One file for each tool: pip, npm, Go, Maven (with Gradle and sbt), cargo. What is said here reaches builds and the
fetching of toolchains only, never a running app, and no log: it may hold tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from havre.apps.packages import cargo, golang, maven, npm, pip
from havre.apps.packages.npm import app_npmrc
from havre.drivers.toolchains import Repository, Toolchains
from havre.kernel.config import PackagesConfig

__all__ = ["CA_VARIABLES", "HOST_CA", "Packages", "app_npmrc", "open_toolchains", "packages"]

PREFIXES = ("PIP_", "UV_", "BUN_CONFIG_", "YARN_", "BUNDLE_MIRROR", "CARGO_", "GOFLAGS")
# what names a place on the host, or a way out that a sandbox does not have: its own proxy is set for it
IGNORED = (
    "_CERT", "_CONFIG_FILE", "_CACHE_DIR", "_FIND_LINKS", "_PROXY", "_TARGET", "_PREFIX", "_USER", "_PYTHON",
    "_ENVIRONMENT", "_HOME", "_LOG", "_DIR", "_CA_FILE", "_CAINFO", "_RUSTC", "_RUSTFLAGS",
)  # fmt: skip
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
HOST_CA = "/etc/ssl/certs/ca-certificates.crt"  # shown in every sandbox


@dataclass(frozen=True)
class Packages:
    """environment: for the build. files: what stands below its home, by path. ca_bundle: a file of the host, if not
    its own list of authorities. repository: Maven's artifacts."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: Path | None = None
    repository: Repository = field(default_factory=Repository)

    def __repr__(self) -> str:
        return "Packages(***)"


def packages(config: PackagesConfig, host: Mapping[str, str], *, prefix: Path | None = None) -> Packages:
    """The settings of this installation's builds. host: the environment of the control plane.

    prefix: where the interpreter's own pip.conf is (pip's "site" level).
    """
    of_pip, of_npm = pip.settings(host, prefix), npm.settings(host)
    of_maven = maven.settings(host, config.maven_repository, proxy=config.proxy)
    env = pip.environment(of_pip) | golang.environment(host) | cargo.tokens(host) | _from_host(host)
    if index := config.index_url or env.get("PIP_INDEX_URL", ""):
        env |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    if config.index_url:
        env.pop("PIP_EXTRA_INDEX_URL", None)
    elif "PIP_EXTRA_INDEX_URL" in env:
        env.setdefault("UV_INDEX", env["PIP_EXTRA_INDEX_URL"])
    bundle = _ca_bundle(config, host, of_pip, of_npm)
    if config.npm_registry:
        kept = {key: value for key, value in of_npm.items() if key.startswith("//")}
        of_npm = kept | {"registry": config.npm_registry}
    if config.proxy:
        env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), config.proxy)
    files = {".npmrc": "".join(f"{key}={value}\n" for key, value in of_npm.items())}
    files |= {".cargo/config.toml": cargo.settings(host, config.cargo_registry)} | dict(of_maven.files)
    environment = env | dict(of_maven.environment) | config.environment
    repository = replace(of_maven.repository, authorities=bundle)
    return Packages(environment, {name: text for name, text in files.items() if text}, bundle, repository)


def open_toolchains(root: Path, config: PackagesConfig, host: Mapping[str, str]) -> Toolchains:
    """The toolchains below `root`, fetched from where builds fetch their packages."""
    found = packages(config, host)
    told = {"PIP_INDEX_URL": config.index_url, "npm_config_registry": config.npm_registry}
    told |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), config.proxy)
    if config.ca_bundle:
        told |= dict.fromkeys(CA_VARIABLES, config.ca_bundle)
    env = dict(host) | {name: value for name, value in told.items() if value}
    return Toolchains(root, env, found.repository)


def _from_host(host: Mapping[str, str]) -> dict[str, str]:
    named = {name: value for name, value in host.items() if name.startswith(PREFIXES)}
    return {name: value for name, value in named.items() if not name.endswith(IGNORED) and value[:1] != "/"}


def _ca_bundle(
    config: PackagesConfig, host: Mapping[str, str], of_pip: Mapping[str, str], of_npm: dict[str, str]
) -> Path | None:
    """The file of authorities that the package tools are told of, when it is not the list that builds see anyway."""
    from_npm = of_npm.pop("cafile", "")
    if config.ca_bundle:
        return Path(config.ca_bundle)
    told = [host.get(name, "") for name in CA_VARIABLES]
    for text in (*told, of_pip.get("cert", ""), from_npm):
        if text and Path(text).is_file():
            return None if Path(text).resolve() == Path(HOST_CA).resolve() else Path(text)
    return None
