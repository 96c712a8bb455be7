"""What each name of a request flow is: its start line, and what it needs. Pure; siblings do not know each other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from havre.apps.launch import becoming
from havre.base.errors import InvalidError

VCL = "clevercloud/varnish.vcl"
_SIZE = re.compile(r"\d+(\.\d+)?[kKmMgGtT][bB]?")


@dataclass(frozen=True)
class Made:
    """A part of one chain. env: variables that it reads, which the app's own win over."""

    start: str
    packages: tuple[str, ...] = ()
    toolchains: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


# varnishd(1): -j none because there is one user; the counters' and the log's memory are files in /tmp, so both are
# kept small. tcc where it is, for it is seven times faster than gcc here. The app's VCL is included and not copied in
# front of our header, so that a `vcl 4.x;` of its own does no harm.
VARNISH = """\
for vcl in {candidates}; do [ -r "$vcl" ] && break; done
mkdir -p /tmp/varnish && {{
  echo 'vcl 4.1;'
  echo 'backend default {{ .host = "127.0.0.1"; .port = "{onward}"; }}'
  {include}
}} > /tmp/varnish/havre.vcl || exit
if command -v tcc > /dev/null; then cc='exec tcc -shared -o %o %s'
else cc='exec gcc -g0 -O2 -fpic -shared -Wl,-x -o %o %s'; fi
size=${{CC_VARNISH_STORAGE_SIZE:-}}
if [ -z "$size" ]; then [ "$HAVRE_VARNISH_MIB" -le 1024 ] || HAVRE_VARNISH_MIB=1024; size=${{HAVRE_VARNISH_MIB}}M; fi
exec /usr/sbin/varnishd -F -j none -n /tmp/varnish/run -a {host}:{port} -p "cc_command=$cc" \\
  -f /tmp/varnish/havre.vcl -s "malloc,$size" -p vsl_space=1M -p thread_pools=1 \\
  -p thread_pool_min=10 -p thread_pool_max=200"""
INCLUDE = """\
if [ -r "$vcl" ]; then printf 'include "%s";\\n' "$vcl"; else echo "varnish: there is no file {file}" >&2; false; fi"""


def varnish(env: Mapping[str, str], port: int, onward: int) -> Made:
    """Varnish with the app's VCL (CC_VARNISH_FILE, else clevercloud/varnish.vcl, else what Varnish does by itself).

    A relative path is looked for in the app's folder, then at the top of the repository.
    """
    named = env.get("CC_VARNISH_FILE", "").strip()
    path = PurePosixPath("/", (named or VCL).lstrip("/"))
    if ".." in path.parts or not re.fullmatch(r"/[\w./@+-]+", str(path)):
        raise InvalidError(f"CC_VARNISH_FILE={named} must be a file of the app, such as /config/varnish.vcl")
    size = env.get("CC_VARNISH_STORAGE_SIZE", "").strip()
    if size and not _SIZE.fullmatch(size):
        raise InvalidError(f"CC_VARNISH_STORAGE_SIZE={size} is not a size such as 256M or 1G")
    include = INCLUDE.format(file=path)
    start = VARNISH.format(
        candidates=f'"$APP_ROOT{path}" "$APP_HOME{path}"',
        include=include if named else f'if [ -r "$vcl" ]; then {include}; fi',
        host="0.0.0.0" if port == 8080 else "127.0.0.1",
        port=port,
        onward=onward,
    )
    return Made(start, packages=("varnish", "tcc"), env={"HAVRE_VARNISH_MIB": "$MIB_25"})


def oauth2_proxy(env: Mapping[str, str], port: int, onward: int) -> Made:
    """OAuth2 Proxy: the ports are ours, all else are its own OAUTH2_PROXY_* variables."""
    by_file = any(env.get(f"OAUTH2_PROXY_{name}") for name in ("CONFIG", "ALPHA_CONFIG"))
    needed = (
        ("OAUTH2_PROXY_CLIENT_ID",),
        ("OAUTH2_PROXY_COOKIE_SECRET", "OAUTH2_PROXY_COOKIE_SECRET_FILE"),
        ("OAUTH2_PROXY_EMAIL_DOMAINS", "OAUTH2_PROXY_AUTHENTICATED_EMAILS_FILE"),
    )
    missing = [" or ".join(names) for names in needed if not any(env.get(name, "").strip() for name in names)]
    if missing and not by_file:
        raise InvalidError(f"CC_REQUEST_FLOW: oauth2-proxy needs {'; '.join(missing)} (clever env set …)")
    host = "0.0.0.0" if port == 8080 else "127.0.0.1"
    start = (
        f"exec /opt/havre/oauth2-proxy/bin/oauth2-proxy --http-address={host}:{port} "
        f"--upstream=http://127.0.0.1:{onward}/"
    )
    return Made(start, toolchains=("oauth2-proxy",), env={"OAUTH2_PROXY_REVERSE_PROXY": "true"})


def custom(env: Mapping[str, str], port: int, onward: int) -> Made:
    """The app's own program: CC_REQUEST_FLOW_CUSTOM with both ports written into it."""
    line = env.get("CC_REQUEST_FLOW_CUSTOM", "").strip()
    if "@@LISTEN_PORT@@" not in line or "@@FORWARD_PORT@@" not in line:
        raise InvalidError(
            "CC_REQUEST_FLOW: custom needs CC_REQUEST_FLOW_CUSTOM, the command that starts it, with @@LISTEN_PORT@@ "
            "and @@FORWARD_PORT@@ where its ports belong"
        )
    return Made(becoming(line.replace("@@LISTEN_PORT@@", str(port)).replace("@@FORWARD_PORT@@", str(onward))))


def block(env: Mapping[str, str], port: int, onward: int) -> Made:
    """200 to everything, and nothing of it reaches the app."""
    argv = ("/opt/havre/caddy/bin/caddy", "respond", "--listen", f":{port}", "--status", "200")
    return Made(f"exec {shlex.join(argv)}", toolchains=("caddy",))


MAKERS: dict[str, Callable[[Mapping[str, str], int, int], Made]] = {
    "varnish": varnish,
    "oauth2-proxy": oauth2_proxy,
    "custom": custom,
    "block": block,
}
