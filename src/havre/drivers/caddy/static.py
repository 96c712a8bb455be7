"""The one configuration that Caddy runs with: `static_config`, a pure function.

Nothing in it names an app. Which host leads where is read by Caddy, on each request, from directories:

- `routes/<name>.sock`             a symlink to the listening socket of an app
- `flags/known/<name>.sock`        an empty file for each host that the platform serves, running or not
- `flags/down/<name>.sock`         an empty file: nobody listens at the app's socket, so do not wait for it (a hint)
- `flags/force-https/<name>.sock`  an empty file for each host whose plain HTTP is sent to HTTPS

`<name>` is `www.example.com`, `www.example.com/api` (a path prefix) or `_.example.com` (the wildcard `*.example.com`):
see `route_name`. So no change of a route reloads anything, and no reload closes anybody's connection.

Never set passive health checks here: Caddy counts failures by the dial address before its placeholders are filled in,
so that one dead app would take down every other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from havre.drivers.caddy import pages

Json = dict[str, Any]

PREFIX_DEPTH = 3  # segments of a path prefix
_SEGMENT = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"  # no dot first: `..` must never become a part of a file's name
PREFIXES = f"^/({_SEGMENT})(?:(/{_SEGMENT})(/{_SEGMENT})?)?(?:/|$)"
ASK_PATH = "/.well-known/havre/may-serve"
NORMAL_HOST = r"^(?:[a-z0-9-]{1,63})(?:\.([a-z0-9.-]{0,250}[a-z0-9]))?$"  # group 1: all but the first label
ANY_CASE_HOST = r"^[A-Za-z0-9-][A-Za-z0-9.-]{0,253}$"
LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class EdgeSettings:
    """What Caddy is told. `storage` keeps certificates and the internal CA, `run` the sockets and routes."""

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
    answer_within_s: float = 600.0

    @property
    def admin_socket(self) -> Path:
        return self.run / "caddy-admin.sock"

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
                "metrics": {},
                "servers": {
                    "https": _server(settings, settings.https_port, is_tls=True),
                    "http": _server(settings, settings.http_port, is_tls=False),
                },
            },
            "tls": _tls(settings),
            "pki": {
                "certificate_authorities": {
                    "local": {
                        "name": "Havre",
                        "root_common_name": "Havre Local Root",
                        "intermediate_common_name": "Havre Local Intermediate",
                        "install_trust": False,
                    }
                }
            },
        },
    }


def _server(settings: EdgeSettings, port: int, *, is_tls: bool) -> Json:
    server: Json = {
        "listen": [_address(settings.bind, port)],
        "automatic_https": {"disable": True},
        "protocols": ["h1", "h2", "h3"] if is_tls else ["h1"],
        "read_header_timeout": "30s",
        "routes": [
            *([] if is_tls else [_ask(settings)]),
            {"handle": [{"handler": "tracing", "span": "edge"}]},
            _control_plane(settings) if is_tls else _control_plane_over_http(settings),
            *_odd_hosts(),
            _note_prefixes(),
            _apps(settings, is_tls=is_tls),
            *pages.answer(pages.UNKNOWN),
        ],
        "errors": {"routes": _errors(settings)},
        "logs": {"default_logger_name": "requests"},
    }
    if is_tls:
        server["tls_connection_policies"] = [{"default_sni": "localhost"}]
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
    steps.append({"match": [down], "handle": _to_app(settings, dial_for_s=0), "terminal": True})
    steps.append({"handle": _to_app(settings, dial_for_s=settings.dial_for_s), "terminal": True})
    noted = [
        {"handler": "vars", "route": "{http.matchers.file.relative}"},
        _append("route", "{http.vars.route}"),
        _append("user_agent", "{http.request.header.User-Agent}"),
    ]
    return {
        "match": [_file_matcher(flags / "known", *_names("{http.request.host}", "{http.vars.parent}"))],
        "handle": [*noted, _subroute(steps)],
        "terminal": True,
    }


def _to_app(settings: EdgeSettings, *, dial_for_s: float) -> list[Json]:
    """Hand the request over. `dial_for_s` 0: one try.

    A request that an app has read is not sent again, not even a GET: one that kills its instance would kill them all.
    """
    proxy = _proxy(f"unix/{settings.run / 'routes'}{{http.vars.route}}", dial_for_s=dial_for_s)
    proxy["transport"]["response_header_timeout"] = _seconds(settings.answer_within_s)
    proxy["load_balancing"]["retry_match"] = [{"method": ["-"]}]
    return [_append("upstream_ms", "{http.reverse_proxy.upstream.duration_ms}"), proxy]


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


# certificates


def _tls(settings: EdgeSettings) -> Json:
    """One certificate for all names of the platform, kept ready; the others on their first visit, if we serve them."""
    base = settings.base_domain
    below = [f"*.{base}"] if "." in base else [f"api.{base}", f"console.{base}"]  # no client believes `*.localhost`
    always = ["localhost", "127.0.0.1", base, *below, *settings.own_hosts]
    host = settings.bind if _is_specific(settings.bind) else "127.0.0.1"
    internal = [{"module": "internal", "ca": "local"}]
    return {
        "certificates": {"automate": list(dict.fromkeys(always))},
        "automation": {
            "policies": [
                {"subjects": list(dict.fromkeys(always)), "issuers": internal},
                {"issuers": internal, "on_demand": True},
            ],
            "on_demand": {
                "permission": {
                    "module": "http",
                    "endpoint": f"http://{_address(host, settings.http_port)}{ASK_PATH}",
                }
            },
        },
    }


def _ask(settings: EdgeSettings) -> Json:
    """Whether we serve `?domain=`: Caddy asks itself, so that it is answered while the control plane is down."""
    domain = "{http.request.uri.query.domain}"
    normal = {"vars_regexp": {domain: {"name": "asked", "pattern": NORMAL_HOST}}}
    names = (f"{domain}.sock", f"{domain}/", "_.{http.vars.parent}.sock", "_.{http.vars.parent}/")
    known = _file_matcher(settings.run / "flags" / "known", *names)
    own = [settings.bind] if _is_specific(settings.bind) else []
    inner: list[Json] = [
        {"match": [normal], "handle": [{"handler": "vars", "parent": "{http.regexp.asked.1}", "asked": "yes"}]},
        {
            "match": [{"vars": {"asked": ["yes"]}, **known}],
            "handle": [{"handler": "static_response", "status_code": 200, "body": "yes\n"}],
            "terminal": True,
        },
        {"handle": [{"handler": "static_response", "status_code": 404, "body": "no\n"}]},
    ]
    return {
        "match": [{"path": [ASK_PATH], "remote_ip": {"ranges": [*LOOPBACK, *own]}}],
        "handle": [{"handler": "vars", "log_skip": True}, _subroute(inner)],
        "terminal": True,
    }


# what went wrong, and the log


def _errors(settings: EdgeSettings) -> list[Json]:
    status = "{http.error.status_code}"
    not_dialled = {"vars_regexp": {"{http.error.message}": {"name": "dial", "pattern": "^dial "}}}
    return [
        {
            "match": [{"host": list(settings.control_hosts)}],
            "handle": [pages.answer_json(pages.RESTARTING)],
            "terminal": True,
        },
        {"match": [not_dialled], "handle": [_subroute(pages.answer(pages.DOWN))], "terminal": True},
        {"match": [{"vars": {status: ["504"]}}], "handle": [_subroute(pages.answer(pages.SLOW))], "terminal": True},
        {"match": [{"vars": {status: ["400"]}}], "handle": [_subroute(pages.answer(pages.BAD_HOST))], "terminal": True},
        *pages.answer(pages.FAILED),
    ]


def _logging(settings: EdgeSettings) -> Json:
    """Requests and Caddy's own words go to two files that cannot grow past their bound. No header is written down.

    `ts` is in seconds since the epoch, with fractions. Rolled files are `access-<time>.log`, not compressed.
    """
    roll = {"roll": True, "roll_size_mb": settings.log_roll_mib, "roll_keep": settings.log_files_kept}
    hidden = ("request>headers", "resp_headers")
    encoder = {
        "format": "filter",
        "wrap": {"format": "json"},
        "fields": {each: {"filter": "delete"} for each in hidden},
    }
    return {
        "logs": {
            "requests": {
                "writer": {"output": "file", "filename": str(settings.access_log), "roll_gzip": False, **roll},
                "encoder": encoder,
                "include": ["http.log.access"],
            },
            "default": {
                "writer": {"output": "file", "filename": str(settings.caddy_log), **roll},
                "exclude": ["http.log.access"],
            },
        }
    }


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
