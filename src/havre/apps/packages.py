"""Where builds fetch packages from: the operator's `[build.packages]`, else what the host's own pip and npm are told.

What is said here reaches builds only, never a running app, and no log: it may hold tokens.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from havre.kernel.config import PackagesConfig

PREFIXES = (
    "PIP_",
    "UV_",
    "BUN_CONFIG_",
    "YARN_",
    "BUNDLE_MIRROR",
    "CARGO_",
    "GOPROXY",
    "GONOSUMDB",
    "GOFLAGS",
    "GOPRIVATE",
)
# what names a place on the host, or a way out that a sandbox does not have: its own proxy is set for it
IGNORED = (
    "_CERT", "_CONFIG_FILE", "_CACHE_DIR", "_FIND_LINKS", "_PROXY", "_TARGET", "_PREFIX", "_USER", "_PYTHON",
    "_ENVIRONMENT", "_HOME", "_LOG", "_DIR", "_CA_FILE",
)  # fmt: skip
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
HOST_CA = "/etc/ssl/certs/ca-certificates.crt"  # shown in every sandbox
_NPM_KEPT = ("registry", "strict-ssl", "always-auth")


@dataclass(frozen=True)
class Packages:
    """environment: for the build. npmrc: the content of its ~/.npmrc. ca_bundle: a file of the host, if not its own
    list of authorities."""

    environment: Mapping[str, str] = field(default_factory=dict)
    npmrc: str = ""
    ca_bundle: Path | None = None

    def __repr__(self) -> str:
        return "Packages(***)"


def packages(config: PackagesConfig, host: Mapping[str, str], *, prefix: Path | None = None) -> Packages:
    """The settings of this installation's builds. host: the environment of the control plane.

    prefix: where the interpreter's own pip.conf is (pip's "site" level).
    """
    pip, npm = _pip_settings(host, prefix), _npm_settings(host)
    env = _from_pip(pip) | _from_host(host)
    if index := config.index_url or env.get("PIP_INDEX_URL", ""):
        env |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index}
    if config.index_url:
        env.pop("PIP_EXTRA_INDEX_URL", None)
    elif "PIP_EXTRA_INDEX_URL" in env:
        env.setdefault("UV_INDEX", env["PIP_EXTRA_INDEX_URL"])
    if config.npm_registry:
        npm = {key: value for key, value in npm.items() if key.startswith("//")} | {"registry": config.npm_registry}
    if config.proxy:
        env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), config.proxy)
    npmrc = "".join(f"{key}={value}\n" for key, value in npm.items())
    return Packages(env | config.environment, npmrc, _ca_bundle(config, host, pip, npm))


def app_npmrc(env: Mapping[str, str]) -> str:
    """What the app's own variables say to npm: CC_NPM_REGISTRY, CC_NPM_TOKEN or NPM_TOKEN, CC_NPM_BASIC_AUTH."""
    registry = env.get("CC_NPM_REGISTRY") or "https://registry.npmjs.org/"
    url = urlsplit(registry if "://" in registry else f"https://{registry}")
    place = f"//{url.netloc}{url.path.rstrip('/')}/"
    lines = [f"registry={url.geturl()}"] if env.get("CC_NPM_REGISTRY") else []
    if token := env.get("CC_NPM_TOKEN") or env.get("NPM_TOKEN"):
        lines.append(f"{place}:_authToken={token}")
    elif basic := env.get("CC_NPM_BASIC_AUTH"):
        lines.append(f"{place}:_auth={basic}")
    return "".join(f"{line}\n" for line in lines if "\n" not in line)


def _from_host(host: Mapping[str, str]) -> dict[str, str]:
    named = {name: value for name, value in host.items() if name.startswith(PREFIXES)}
    return {name: value for name, value in named.items() if not name.endswith(IGNORED) and value[:1] != "/"}


def _from_pip(pip: Mapping[str, str]) -> dict[str, str]:
    kept = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries")
    return {f"PIP_{key.upper().replace('-', '_')}": pip[key] for key in kept if key in pip}


def _pip_settings(host: Mapping[str, str], prefix: Path | None) -> dict[str, str]:
    """pip's files, later ones above earlier ones (pip documentation, "Configuration")."""
    home = Path(host.get("HOME") or "/nonexistent")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    files.append(Path(host.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf")
    if prefix is not None:
        files.append(prefix / "pip.conf")
    if host.get("PIP_CONFIG_FILE"):
        files = [] if host["PIP_CONFIG_FILE"] == "/dev/null" else [*files, Path(host["PIP_CONFIG_FILE"])]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text())
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): " ".join(value.split()) for key, value in parser.items(section)}
    return found


def _npm_settings(host: Mapping[str, str]) -> dict[str, str]:
    """npm's files and variables that say where packages are and who asks (npm documentation, "npmrc")."""
    home = Path(host.get("HOME") or "/nonexistent")
    said = {name[11:]: value for name, value in host.items() if name.lower().startswith("npm_config_")}
    low = {name if name.startswith("//") else name.lower().replace("_", "-"): said[name] for name in said}
    files = (Path("/etc/npmrc"), Path(low.get("userconfig") or home / ".npmrc"))
    found: dict[str, str] = {}
    for file in files:
        found |= dict(_npmrc(file))
    found |= low
    kept = {key: value for key, value in found.items() if _is_kept(key)}
    if "cafile" in found:
        kept["cafile"] = found["cafile"]
    return kept


def _is_kept(key: str) -> bool:
    return key in _NPM_KEPT or key.startswith("//") or key.endswith(":registry")


def _npmrc(file: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        key, found, value = line.strip().partition("=")
        if found and not key.startswith((";", "#")) and "${" not in value:
            yield key.strip(), value.strip().strip('"')


def _ca_bundle(
    config: PackagesConfig, host: Mapping[str, str], pip: Mapping[str, str], npm: dict[str, str]
) -> Path | None:
    """The file of authorities that the package tools are told of, when it is not the list that builds see anyway."""
    from_npm = npm.pop("cafile", "")
    if config.ca_bundle:
        return Path(config.ca_bundle)
    told = [host.get(name, "") for name in CA_VARIABLES]
    for text in (*told, pip.get("cert", ""), from_npm):
        if text and Path(text).is_file():
            return None if Path(text).resolve() == Path(HOST_CA).resolve() else Path(text)
    return None
