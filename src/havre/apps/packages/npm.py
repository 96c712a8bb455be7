"""What this host's npm, and an app's own variables, say of registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

_KEPT = ("registry", "strict-ssl", "always-auth")


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


def settings(host: Mapping[str, str]) -> dict[str, str]:
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
    return key in _KEPT or key.startswith("//") or key.endswith(":registry")


def _npmrc(file: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        key, found, value = line.strip().partition("=")
        if found and not key.startswith((";", "#")) and "${" not in value:
            yield key.strip(), value.strip().strip('"')
