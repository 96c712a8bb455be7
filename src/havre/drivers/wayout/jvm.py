"""The proxy as Java is told of it: in properties, because the JVM does not read HTTP_PROXY and its like."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

OPTIONS = "JAVA_TOOL_OPTIONS"


def told(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with its proxies in JAVA_TOOL_OPTIONS too, where a program of the Java family has some."""
    if OPTIONS not in env:
        return dict(env)
    flags = []
    for scheme in ("http", "https"):
        url = urlsplit(env.get(f"{scheme.upper()}_PROXY") or env.get(f"{scheme}_proxy") or "")
        if url.hostname:
            flags += [f"-D{scheme}.proxyHost={url.hostname}", f"-D{scheme}.proxyPort={url.port or 80}"]
    if flags:
        named = env.get("NO_PROXY") or env.get("no_proxy") or "localhost,127.0.0.1"
        patterns = (f"*{each}" if each.startswith(".") else each for each in named.replace(" ", "").split(","))
        flags.append(f"-Dhttp.nonProxyHosts={'|'.join(each for each in patterns if each)}")
        flags.append("-Daether.connector.http.useSystemProperties=true")  # else Maven does not look at them
    return dict(env) | {OPTIONS: " ".join([*flags, env[OPTIONS]]).strip()}
