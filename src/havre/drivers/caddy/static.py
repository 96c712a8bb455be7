"""The one configuration that Caddy runs with: `static_config`, a pure function.

Nothing in it names an app. Which host leads where is read by Caddy, on each request, from directories:

- `routes/<name>.sock`             a symlink to the listening socket of an app
- `l/<name>.sock/<mark><token>`    another, for kept connections: its name changes with the instances that accept
- `flags/known/<name>.sock`        an empty file for each host that the platform serves, running or not
- `flags/down/<name>.sock`         an empty file: no instance accepts, and none is waited for any longer
- `flags/force-https/<name>.sock`  an empty file for each host whose plain HTTP is sent to HTTPS
- `flags/sticky/<name>.sock`       an empty file for each host whose visitors stay with their instance
- `s/<name>.sock`                  a symlink to a directory with 64 slots, each a symlink to an instance's own socket
- `certs/<host>.pem`               the certificate of a host with its key, read at each full handshake
- `acme/<token>`                   what a certificate authority asks for (HTTP-01, RFC 8555 section 8.3)

`<name>` is `www.example.com`, `www.example.com/api` (a path prefix) or `_.example.com` (the wildcard `*.example.com`):
see `route_name`; for marks `Mark`. So no change of a route or certificate reloads anything, and no reload closes
anybody's connection.
Caddy gets its listening sockets from its keeper, as descriptors, in the order of `doors`.

Never set passive health checks here: Caddy counts failures by the dial address before its placeholders are filled in,
so that one dead app would take down every other.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.drivers.caddy import pages
from havre.drivers.keeper import FIRST_FD, Door

Json = dict[str, Any]

PREFIX_DEPTH = 3  # segments of a path prefix
_SEGMENT = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"  # no dot first: `..` must never become a part of a file's name
PREFIXES = f"^/({_SEGMENT})(?:(/{_SEGMENT})(/{_SEGMENT})?)?(?:/|$)"
CERTIFICATE_PATH = "/.well-known/havre/certificate"
CHALLENGE = r"^/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,200})$"
NORMAL_HOST = r"^(?:[a-z0-9-]{1,63})(?:\.([a-z0-9.-]{0,250}[a-z0-9]))?$"  # group 1: all but the first label
ANY_CASE_HOST = r"^[A-Za-z0-9-][A-Za-z0-9.-]{0,253}$"
LOOPBACK = ("127.0.0.0/8", "::1/128")
COOKIE = "havre-instance"
KEPT = "l"
KEPT_IDLE_S = 1.0  # shorter than what usual servers keep: gunicorn 2 s, Node 5 s
# what Go's transport sends again when a kept connection ends before the answer has begun: nothing with a body
REPEATED: Json = {
    "method": ["GET", "HEAD", "OPTIONS"],
    "not": [{"header": {each: ["*"]}} for each in ("Content-Length", "Transfer-Encoding", "Upgrade")],
}
PLAIN_HOST = "^[a-z0-9.-]+$"
TRACED: Json = {"header": {"Traceparent": ["*"]}}
EDGE_SPAN = b"havreedg".hex()  # in a trace that begins here there is one span of ours
STICKY_SLOTS = tuple(f"{first}{second}" for first in "89ab" for second in "0123456789abcdef")
_SLOT = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-([89ab][0-9a-f])[0-9a-f]{2}-[0-9a-f]{12}$"  # a UUID of version 4


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


def doors(settings: EdgeSettings) -> tuple[Door, ...]:
    """The sockets that Caddy listens on: for each address HTTPS over TCP and over UDP (HTTP/3), then plain HTTP."""
    found: list[Door] = []
    for host in settings.binds:
        found += [Door("tcp", host, settings.https_port), Door("udp", host, settings.https_port)]
        found.append(Door("tcp", host, settings.http_port))
    return tuple(found)


def static_config(settings: EdgeSettings) -> Json:
    """The whole configuration, as Caddy's JSON."""
    return {
        "admin": {"listen": f"unix/{settings.admin_socket}|0600", "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(settings.storage)},
        "logging": _logging(settings),
        "apps": {
            "http": {
                "http_port": settings.http_port,
                "https_port": settings.https_port,
                "servers": {
                    "https": _server(settings, is_tls=True),
                    "http": _server(settings, is_tls=False),
                },
            },
            "tls": _tls(settings),
        },
    }


def _server(settings: EdgeSettings, *, is_tls: bool) -> Json:
    firsts = range(FIRST_FD, FIRST_FD + len(doors(settings)), 3)
    server: Json = {
        "automatic_https": {"disable": True},
        "read_header_timeout": "30s",
        "routes": [
            *([] if is_tls else [_certificates(settings), *_challenges(settings)]),
            _short_way(settings, is_tls=is_tls),
            *_trace(),
            _control_plane(settings) if is_tls else _control_plane_over_http(settings),
            *_odd_hosts(),
            _note_prefixes(),
            _apps(settings, is_tls=is_tls),
            *pages.answer(pages.UNKNOWN),
        ],
        "errors": {"routes": _errors(settings)},
        "logs": {"default_logger_name": "https" if is_tls else "http"},
    }
    if is_tls:
        server["listen"] = [name for fd in firsts for name in (f"fd/{fd}", f"fdgram/{fd + 1}")]
        server["listen_protocols"] = [each for _ in firsts for each in (["h1", "h2"], ["h3"])]
        server["tls_connection_policies"] = [{}]
    else:
        server["listen"] = [f"fd/{fd + 2}" for fd in firsts]
        server["protocols"] = ["h1"]
    if settings.proxy_protocol_from:
        proxy = {"wrapper": "proxy_protocol", "timeout": "5s", "allow": list(settings.proxy_protocol_from)}
        server["listener_wrappers"] = [proxy, {"wrapper": "tls"}]
    return server


# who answers


def _control_plane(settings: EdgeSettings) -> Json:
    """The API, the console and git. Waits a little for a control plane that restarts; kept out of the access log."""
    proxy = _proxy(f"unix/{settings.run / 'api.sock'}", dial_for_s=settings.dial_for_s)
    return {
        "match": [{"host": list(settings.control_hosts)}],
        "handle": [{"handler": "vars", "log_skip": True}, proxy],
        "terminal": True,
    }


def _control_plane_over_http(settings: EdgeSettings) -> Json:
    """Credentials travel to the control plane, so it has no plain HTTP."""
    return {
        "match": [{"host": list(settings.control_hosts)}],
        "handle": [{"handler": "vars", "log_skip": True}, _to_https(settings, 308)],
        "terminal": True,
    }


def _odd_hosts() -> list[Json]:
    """Hosts in another than the normal form go to it; what can be no host at all is refused.

    Caddy's placeholder of the host keeps the case and a final dot, and no placeholder can change that: a template can.
    """
    normal = {"vars_regexp": {"{http.request.host}": {"name": "host", "pattern": NORMAL_HOST}}}
    any_case = {"vars_regexp": {"{http.request.host}": {"name": "odd", "pattern": ANY_CASE_HOST}}}
    to_normal = (
        '{{.RespHeader.Set "Location" (printf "%s://%s%s" (placeholder "http.request.scheme") '
        '(regexReplaceAll "[.]+(:|$)" (.Req.Host | lower) "${1}") (placeholder "http.request.uri"))}}'
    )
    redirect = {
        "handler": "static_response",
        "status_code": 308,
        "headers": {"Content-Type": ["text/html; charset=utf-8"]},
        "body": to_normal,
    }
    return [
        {"match": [normal], "handle": [{"handler": "vars", "parent": "{http.regexp.host.1}"}]},
        {
            "match": [{**any_case, "not": [normal]}],
            "handle": [{"handler": "templates"}, redirect],
            "terminal": True,
        },
        {"match": [{"not": [normal]}], "handle": [_subroute(pages.answer(pages.BAD_HOST))], "terminal": True},
    ]


def _apps(settings: EdgeSettings, *, is_tls: bool) -> Json:
    """A known host leads to the socket of its app.

    Whether somebody listens there is not asked beforehand (Caddy's file matcher opens what it looks for, and a socket
    cannot be opened): a dial that fails is repeated for a while, as long as the app is not known to be down.
    """
    flags = settings.run / "flags"
    steps: list[Json] = []
    if not is_tls:
        forced = _file_matcher(flags / "force-https", "{http.vars.route}")
        steps.append({"match": [forced], "handle": [_to_https(settings, 301)], "terminal": True})
    down = _file_matcher(flags / "down", "{http.vars.route}")
    steps.append({"match": [down], "handle": [_subroute(pages.answer(pages.DOWN))], "terminal": True})
    sticky = _file_matcher(flags / "sticky", "{http.vars.route}")
    steps.append({"match": [sticky], "handle": [_to_own_instance(settings, is_tls=is_tls)], "terminal": True})
    kept = _kept(settings, "{http.vars.route}", *Mark)
    noted = {"handler": "vars", "kept": "yes"}
    steps.append({"match": [{**REPEATED, **kept}], "handle": [noted, *_to_app_kept(settings)], "terminal": True})
    steps.append({"handle": _to_app(settings), "terminal": True})
    noted = {"handler": "vars", "route": "{http.matchers.file.relative}"}
    return {
        "match": [_file_matcher(flags / "known", *_names("{http.request.host}", "{http.vars.parent}"))],
        "handle": [noted, _append("route", "{http.vars.route}"), *_logged(), _subroute(steps)],
        "terminal": True,
    }


def _short_way(settings: EdgeSettings, *, is_tls: bool) -> Json:
    """The way of most requests: one directory is read, nothing else. What is not found there goes the long way."""
    marks = (Mark.PLAIN, Mark.FORCED) if is_tls else (Mark.PLAIN,)
    plain = {
        "method": REPEATED["method"],
        "not": [*REPEATED["not"], TRACED, {"host": list(settings.control_hosts)}],
        "vars_regexp": {"{http.request.host}": {"name": "plain", "pattern": PLAIN_HOST}},
    }
    noted = {"handler": "vars", "route": "/{http.request.host}.sock", "kept": "yes"}
    return {
        "match": [{**plain, **_kept(settings, "{http.request.host}.sock", *marks)}],
        "handle": [_begin_trace(), noted, *_logged(), *_to_app_kept(settings)],  # the route is the host
        "terminal": True,
    }


def _kept(settings: EdgeSettings, route: str, *marks: Mark) -> Json:
    """Match the link with one of the marks that connections are kept under; `{http.matchers.file.absolute}` is it.

    With this policy the directory is read and the file itself, a socket, is not opened.
    """
    pattern = marks[0].value if len(marks) == 1 else f"[{''.join(marks)}]"
    matched = _file_matcher(settings.run / KEPT, f"{route}/{pattern}*")
    matched["file"]["try_policy"] = "first_exist_fallback"
    return matched


def _logged() -> list[Json]:
    return [
        _append("user_agent", "{http.request.header.User-Agent}"),
        _append("traceparent", "{http.request.header.Traceparent}"),
    ]


def _to_app_kept(settings: EdgeSettings) -> list[Json]:
    """Hand the request over on a connection that is kept for the next one.

    One that the app closes just then loses nothing: Go's transport sends what may be sent again (GET, HEAD, OPTIONS, no
    body) on another when the first ends before a byte of the answer. The forwarder sees to it that this is not so
    where an app had taken the request. Connections are kept by the name that was dialled, and it changes with the
    instances that accept: old ones are used no more, and closed when they were idle for a moment. Where the name has
    changed since it was looked up, `_errors` goes to the app's own socket.
    """
    proxy = _forward(settings, "unix/{http.matchers.file.absolute}", dial_for_s=0)
    proxy[-1]["transport"]["keep_alive"] = {"idle_timeout": _seconds(KEPT_IDLE_S)}
    return proxy


def _to_app(settings: EdgeSettings) -> list[Json]:
    """Hand the request over.

    A request that an app has read is not sent again, not even a GET: one that kills its instance would kill them all.
    """
    return _forward(settings, f"unix/{settings.run / 'routes'}{{http.vars.route}}", dial_for_s=settings.dial_for_s)


def _forward(settings: EdgeSettings, dial: str, *, dial_for_s: float) -> list[Json]:
    proxy = _proxy(dial, dial_for_s=dial_for_s)
    proxy["transport"]["response_header_timeout"] = _seconds(settings.answer_within_s)
    proxy["load_balancing"]["retry_match"] = [{"method": ["-"]}]
    return [_append("upstream_ms", "{http.reverse_proxy.upstream.duration_ms}"), proxy]


def _to_own_instance(settings: EdgeSettings, *, is_tls: bool) -> Json:
    """Hand the request to the instance that its visitor's slot leads to; to any when that one is not there.

    A visitor is a random UUID in a cookie, a slot two of its digits. The cookie names no instance and the slots are
    the app's own, so that no cookie, however made, leads to another app.
    """
    cookie = f"{{http.request.cookie.{COOKIE}}}"
    fresh = [f"{COOKIE}={{http.request.uuid}}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if is_tls else ''}"]
    known = {"vars_regexp": {cookie: {"name": "known", "pattern": _SLOT}}}
    chosen = {"vars_regexp": {"{http.request.uuid}": {"name": "fresh", "pattern": _SLOT}}}
    greet = {"handler": "headers", "response": {"deferred": True, "add": {"Set-Cookie": fresh}}}
    slot = f"unix/{settings.run / 's'}{{http.vars.route}}/{{http.vars.slot}}"
    not_dialled = {"vars_regexp": {"{http.error.message}": {"name": "dial", "pattern": "^dial "}}}
    return {
        "handler": "subroute",
        "routes": [
            {"match": [known], "handle": [{"handler": "vars", "slot": "{http.regexp.known.1}"}]},
            {
                "match": [{**chosen, "not": [known]}],
                "handle": [{"handler": "vars", "slot": "{http.regexp.fresh.1}"}, greet],
            },
            {"handle": _forward(settings, slot, dial_for_s=0)},
        ],
        "errors": {"routes": [{"match": [not_dialled], "handle": _to_app(settings)}]},
    }


def _note_prefixes() -> Json:
    """Keep the path's first segments, as far as they can be a prefix, for the names of routes.

    Caddy's own placeholders of the segments would not do: `..%2f` makes one that climbs out of the host's directory,
    and another tenant's app would answer inside the origin of this one.
    """
    path = {"vars_regexp": {"{http.request.uri.path}": {"name": "path", "pattern": PREFIXES}}}
    groups = [f"{{http.regexp.path.{n}}}" for n in range(1, PREFIX_DEPTH + 1)]
    kept = {f"prefix{depth}": "".join(groups[:depth]) for depth in range(1, PREFIX_DEPTH + 1)}
    return {"match": [path], "handle": [{"handler": "vars", **kept}]}


def _names(host: str, parent: str) -> tuple[str, ...]:
    """The route names that may stand for a request, the most particular first."""
    found: list[str] = []
    for name in (host, f"_.{parent}"):
        found += [f"{name}/{{http.vars.prefix{depth}}}.sock" for depth in range(PREFIX_DEPTH, 0, -1)]
        found.append(f"{name}.sock")
    return tuple(found)


def _proxy(dial: str, *, dial_for_s: float) -> Json:
    """Streams both ways. One request is one connection, so that an instance that drains has no idle one to close.

    X-Forwarded-* are Caddy's own: what a client sends there is not believed, because it trusts no proxy.
    """
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": dial}],
        "transport": {"protocol": "http", "keep_alive": {"enabled": False}, "dial_timeout": "3s", "compression": False},
        "load_balancing": {"try_duration": _seconds(dial_for_s), "try_interval": "100ms"},
        "stream_close_delay": "24h",
        "headers": {
            "request": {
                "set": {
                    "X-Real-Ip": ["{http.request.remote.host}"],
                    "X-Forwarded-Port": ["{http.request.local.port}"],
                },
                "delete": ["Forwarded"],
            }
        },
    }


# traces (W3C Trace Context)


def _trace() -> list[Json]:
    """A client's trace goes on, and for other requests one begins."""
    return [
        {"match": [TRACED], "handle": [{"handler": "tracing", "span": "edge"}]},
        {"match": [{"not": [TRACED]}], "handle": [_begin_trace()]},
    ]


def _begin_trace() -> Json:
    """Done by hand: a span that nobody collects would be a tenth of what the proxy does for a request."""
    parent = f"00_{{http.request.uuid}}_{EDGE_SPAN}_01"
    in_form = [{"search": "-", "replace": ""}, {"search": "_", "replace": "-"}]
    return {"handler": "headers", "request": {"set": {"Traceparent": [parent]}, "replace": {"Traceparent": in_form}}}


# certificates


def _tls(settings: EdgeSettings) -> Json:
    """Caddy makes no certificate: at each full handshake it asks itself for the one that stands in `certs`."""
    host = settings.binds[0] if _is_specific(settings.binds[0]) else "127.0.0.1"
    url = f"http://{_address(host, settings.http_port)}{CERTIFICATE_PATH}/{settings.secret}"
    policy = {"on_demand": True, "get_certificate": [{"via": "http", "url": url}]}
    return {"automation": {"policies": [policy], "on_demand": {"permission": {"module": "http", "endpoint": url}}}}


def _certificates(settings: EdgeSettings) -> Json:
    """The certificate and key for `?server_name=`: of the host, or of the wildcard over it, or of who names none.

    It is a door to private keys: for this machine only, and for who knows the secret in the path.
    """
    asked = "{http.request.uri.query.server_name}"
    own = [each for each in settings.binds if _is_specific(each)]
    folder = settings.run / "certs"
    lower = (
        f'{{{{.RespHeader.Set "Location" (printf "{CERTIFICATE_PATH}/{settings.secret}?server_name=%s" '
        '(placeholder "http.request.uri.query.server_name" | lower))}}'
    )
    to_lower = {"handler": "static_response", "status_code": 308, "headers": {"Content-Type": ["text/html"]}}
    upper = {"vars_regexp": {asked: {"name": "upper", "pattern": "^[A-Za-z0-9.-]*[A-Z][A-Za-z0-9.-]*$"}}}
    found = _file_matcher(folder, "{http.vars.asked}.pem", "_.{http.vars.parent}.pem")
    inner: list[Json] = [
        {"match": [upper], "handle": [{"handler": "templates"}, {**to_lower, "body": lower}], "terminal": True},
        {
            "match": [{"vars_regexp": {asked: {"name": "asked", "pattern": NORMAL_HOST}}}],
            "handle": [{"handler": "vars", "parent": "{http.regexp.asked.1}", "asked": asked}],
        },
        {"match": [{"vars": {asked: [""]}}], "handle": [{"handler": "vars", "asked": "localhost", "parent": ""}]},
        {"match": [found], "handle": _send_file(folder), "terminal": True},
        {"handle": [{"handler": "static_response", "status_code": 404, "body": "no\n"}]},
    ]
    return {
        "match": [{"path": [f"{CERTIFICATE_PATH}/{settings.secret}"], "remote_ip": {"ranges": [*LOOPBACK, *own]}}],
        "handle": [{"handler": "vars", "log_skip": True}, _subroute(inner)],
        "terminal": True,
    }


def _challenges(settings: EdgeSettings) -> list[Json]:
    """What a certificate authority looks for over plain HTTP; an app may still answer for its own tokens."""
    folder = settings.run / "acme"
    token = {"vars_regexp": {"{http.request.uri.path}": {"name": "token", "pattern": CHALLENGE}}}
    return [
        {"match": [token], "handle": [{"handler": "vars", "token": "{http.regexp.token.1}"}]},
        {
            "match": [{**token, **_file_matcher(folder, "{http.vars.token}")}],
            "handle": _send_file(folder),
            "terminal": True,
        },
    ]


def _send_file(folder: Path) -> list[Json]:
    """Answer with the file that was just matched."""
    return [
        {"handler": "rewrite", "uri": "{http.matchers.file.relative}"},
        {"handler": "file_server", "root": str(folder)},
    ]


# what went wrong, and the log


def _errors(settings: EdgeSettings) -> list[Json]:
    status = "{http.error.status_code}"
    not_dialled = {"vars_regexp": {"{http.error.message}": {"name": "dial", "pattern": "^dial "}}}
    down = {**_file_matcher(settings.run / "flags" / "down", "{http.vars.route}"), "vars": {status: ["502", "504"]}}
    told: list[Json] = [
        {"handle": [_append("error", "{http.error.message}")]},
        {
            "match": [{"host": list(settings.control_hosts)}],
            "handle": [pages.answer_json(pages.RESTARTING)],
            "terminal": True,
        },
        {"match": [not_dialled, down], "handle": [_subroute(pages.answer(pages.DOWN))], "terminal": True},
        {"match": [{"vars": {status: ["504"]}}], "handle": [_subroute(pages.answer(pages.SLOW))], "terminal": True},
        {"match": [{"vars": {status: ["400"]}}], "handle": [_subroute(pages.answer(pages.BAD_HOST))], "terminal": True},
        *pages.answer(pages.FAILED),
    ]
    gone = {**not_dialled, "vars": {"{http.vars.kept}": ["yes"]}}
    again = {"handler": "subroute", "routes": [{"handle": _to_app(settings)}], "errors": {"routes": told}}
    return [{"match": [gone], "handle": [again], "terminal": True}, *told]


def _logging(settings: EdgeSettings) -> Json:
    """Requests and Caddy's own words go to two files that cannot grow past their bound. No header is written down.

    `ts` is in seconds since the epoch, with fractions; `logger` ends in the scheme. Rolled files are
    `access-<time>.log`, not compressed. Caddy prepares what it knows of a request for both logs, whether or not a line
    is written: so each is told what to leave out.
    """
    roll = {"roll": True, "roll_size_mb": settings.log_roll_mib, "roll_keep": settings.log_files_kept}
    left_out = ("request>headers", "request>tls", "request>remote_ip", "resp_headers", "user_id")
    return {
        "logs": {
            "requests": {
                "writer": {"output": "file", "filename": str(settings.access_log), "roll_gzip": False, **roll},
                "encoder": _json_without(*left_out, message_key="", level_key=""),
                "include": ["http.log.access"],
            },
            "default": {
                "writer": {"output": "file", "filename": str(settings.caddy_log), **roll},
                "encoder": _json_without("request"),
                "exclude": ["http.log.access"],
            },
        }
    }


def _json_without(*fields: str, **keys: str) -> Json:
    deleted = {each: {"filter": "delete"} for each in fields}
    return {"format": "filter", "wrap": {"format": "json", **keys}, "fields": deleted}


# small parts


def _to_https(settings: EdgeSettings, status: int) -> Json:
    port = "" if settings.https_port == 443 else f":{settings.https_port}"
    location = f"https://{{http.request.host}}{port}{{http.request.uri}}"
    return {"handler": "static_response", "status_code": status, "headers": {"Location": [location]}}


def _append(key: str, value: str) -> Json:
    return {"handler": "log_append", "key": key, "value": value}


def _file_matcher(root: Path, *names: str) -> Json:
    return {"file": {"root": str(root), "try_files": list(names)}}


def _subroute(routes: list[Json]) -> Json:
    return {"handler": "subroute", "routes": routes}


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_specific(bind: str) -> bool:
    """Whether the listeners are on one address only, so that the loopback may not reach them."""
    return bind not in ("", "0.0.0.0", "::")


def _seconds(value: float) -> str:
    return f"{int(value * 1000)}ms"
