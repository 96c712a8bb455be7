"""The one configuration that Caddy runs with: `static_config`, a pure function.

Nothing in it names an app. Which host leads where is read by Caddy, on each request, from directories:

- `routes/<name>.sock`             a symlink to the listening socket of an app
- `l/<name>.sock/<mark><token>`    another, for kept connections: its name changes with the instances that accept
- `k/<host>.sock`                  another, dialled without a look at anything else; see `_at_once`
- `flags/long/<host>.sock`         an empty file where nobody may be led so
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

from havre.drivers.caddy import pages
from havre.drivers.caddy.certificates import certificates_route, challenge_routes, tls_of
from havre.drivers.caddy.logs import logs_of
from havre.drivers.caddy.parts import NORMAL_HOST, Json, append, file_matcher, seconds, subroute, to_https
from havre.drivers.caddy.settings import EdgeSettings, Mark, doors
from havre.drivers.keeper import FIRST_FD

PREFIX_DEPTH = 3  # segments of a path prefix
_SEGMENT = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"  # no dot first: `..` must never become a part of a file's name
PREFIXES = f"^/({_SEGMENT})(?:(/{_SEGMENT})(/{_SEGMENT})?)?(?:/|$)"
ANY_CASE_HOST = r"^[A-Za-z0-9-][A-Za-z0-9.-]{0,253}$"
COOKIE = "havre-instance"
KEPT, AT_ONCE = "l", "k"
LONG_WAY, ERRORS = "long way", "errors"
KEPT_IDLE_S = 1.0  # shorter than what usual servers keep: gunicorn 2 s, Node 5 s
# what Go's transport sends again when a kept connection ends before the answer has begun: nothing with a body
REPEATED: Json = {
    "method": ["GET", "HEAD", "OPTIONS"],
    "not": [{"header": {each: ["*"]}} for each in ("Content-Length", "Transfer-Encoding", "Upgrade")],
}
ODD_HOST = "^$|[^a-z0-9.-]"
TRACED: Json = {"header": {"Traceparent": ["*"]}}
NOT_DIALLED: Json = {"vars_regexp": {"{http.error.message}": {"name": "dial", "pattern": "^dial "}}}
EDGE_SPAN = b"havreedg".hex()  # in a trace that begins here there is one span of ours
STICKY_SLOTS = tuple(f"{first}{second}" for first in "89ab" for second in "0123456789abcdef")
_SLOT = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-([89ab][0-9a-f])[0-9a-f]{2}-[0-9a-f]{12}$"  # a UUID of version 4


def static_config(settings: EdgeSettings) -> Json:
    """The whole configuration, as Caddy's JSON."""
    return {
        "admin": {"listen": f"unix/{settings.admin_socket}|0600", "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(settings.storage)},
        "logging": logs_of(settings),
        "apps": {
            "http": {
                "http_port": settings.http_port,
                "https_port": settings.https_port,
                "servers": {
                    "https": _server(settings, is_tls=True),
                    "http": _server(settings, is_tls=False),
                },
            },
            "tls": tls_of(settings),
        },
    }


def _server(settings: EdgeSettings, *, is_tls: bool) -> Json:
    firsts = range(FIRST_FD, FIRST_FD + len(doors(settings)), 3)
    server: Json = {
        "automatic_https": {"disable": True},
        "read_header_timeout": "30s",
        "routes": [
            *([_at_once(settings)] if is_tls else [certificates_route(settings), *challenge_routes(settings)]),
            _short_way(settings, is_tls=is_tls),
            *_trace(),
            _control_plane(settings) if is_tls else _control_plane_over_http(settings),
            _invoked(LONG_WAY),
        ],
        "named_routes": {
            LONG_WAY: {"handle": [subroute(_long_way(settings, is_tls=is_tls))]},
            ERRORS: {"handle": [subroute(_errors(settings))]},
        },
        "errors": {"routes": [*([_not_at_once()] if is_tls else []), _invoked(ERRORS)]},
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


def _long_way(settings: EdgeSettings, *, is_tls: bool) -> list[Json]:
    """What answers any request: whoever's name it is, or nobody."""
    apps = _apps(settings, is_tls=is_tls)
    return [*_odd_hosts(), _note_prefixes(), apps, *pages.answer(pages.UNKNOWN)]


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
        "handle": [{"handler": "vars", "log_skip": True}, to_https(settings, 308)],
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
        {"match": [{"not": [normal]}], "handle": [subroute(pages.answer(pages.BAD_HOST))], "terminal": True},
    ]


def _apps(settings: EdgeSettings, *, is_tls: bool) -> Json:
    """A known host leads to the socket of its app.

    Whether somebody listens there is not asked beforehand (Caddy's file matcher opens what it looks for, and a socket
    cannot be opened): a dial that fails is repeated for a while, as long as the app is not known to be down.
    """
    flags = settings.run / "flags"
    steps: list[Json] = []
    if not is_tls:
        forced = file_matcher(flags / "force-https", "{http.vars.route}")
        steps.append({"match": [forced], "handle": [to_https(settings, 301)], "terminal": True})
    down = file_matcher(flags / "down", "{http.vars.route}")
    steps.append({"match": [down], "handle": [subroute(pages.answer(pages.DOWN))], "terminal": True})
    sticky = file_matcher(flags / "sticky", "{http.vars.route}")
    steps.append({"match": [sticky], "handle": [_to_own_instance(settings, is_tls=is_tls)], "terminal": True})
    kept = _kept(settings, "{http.vars.route}", *Mark)
    noted = {"handler": "vars", "kept": "yes"}
    steps.append({"match": [{**REPEATED, **kept}], "handle": [noted, *_to_app_kept(settings)], "terminal": True})
    steps.append({"handle": _to_app(settings), "terminal": True})
    noted = {"handler": "vars", "route": "{http.matchers.file.relative}"}
    return {
        "match": [file_matcher(flags / "known", *_names("{http.request.host}", "{http.vars.parent}"))],
        "handle": [noted, append("route", "{http.vars.route}"), _logged(), subroute(steps)],
        "terminal": True,
    }


def _at_once(settings: EdgeSettings) -> Json:
    """The way of most requests: nothing is read, but for the question whether this way is closed (a file that is not
    there costs the least to look for). A host that nobody has ever been led to so goes on by `_not_at_once`.
    """
    dial = f"unix/{settings.run / AT_ONCE}/{{http.request.host}}.sock"
    closed = file_matcher(settings.run / "flags" / "long", "{http.request.host}.sock")
    trace, proxy = _begin_trace(), _kept_forward(settings, dial)
    about = proxy[-1].pop("headers")["request"]  # one handler less
    trace["request"] = {**about, **trace["request"], "set": {**about["set"], **trace["request"]["set"]}}
    noted = {"handler": "vars", "route": "/{http.request.host}.sock", "kept": AT_ONCE}
    plain = _plain(settings)
    return {
        "match": [{**plain, "not": [*plain["not"], closed]}],
        "handle": [trace, noted, *proxy],  # the trace is in the log by the `uuid` that it is made from
        "terminal": True,
    }


def _not_at_once() -> Json:
    """Where a host could not be dialled at once, the request goes the long way."""
    gone = {**NOT_DIALLED, "vars": {"{http.vars.kept}": [AT_ONCE]}}
    long = {"handler": "subroute", "routes": [_invoked(LONG_WAY)], "errors": {"routes": [_invoked(ERRORS)]}}
    return {"match": [gone], "handle": [{"handler": "vars", "kept": ""}, long], "terminal": True}


def _invoked(name: str) -> Json:
    """One of the routes that are in the configuration, and in memory, once, wherever they begin."""
    return {"handle": [{"handler": "invoke", "name": name}], "terminal": True}


def _short_way(settings: EdgeSettings, *, is_tls: bool) -> Json:
    """One directory is read, nothing else. What is not found there goes the long way."""
    marks = (Mark.PLAIN, Mark.FORCED) if is_tls else (Mark.PLAIN,)
    noted = {"handler": "vars", "route": "/{http.request.host}.sock", "kept": "yes"}
    return {
        "match": [{**_plain(settings), **_kept(settings, "{http.request.host}.sock", *marks)}],
        "handle": [_begin_trace(), noted, _logged(), *_to_app_kept(settings)],  # the route is the host
        "terminal": True,
    }


def _plain(settings: EdgeSettings) -> Json:
    """Match what can be sent again, for a host whose name is in the normal form, outside of any trace."""
    odd = {"vars_regexp": {"{http.request.host}": {"name": "odd", "pattern": ODD_HOST}}}
    return {
        "method": REPEATED["method"],
        "not": [*REPEATED["not"], TRACED, odd, {"host": list(settings.control_hosts)}],
    }


def _kept(settings: EdgeSettings, route: str, *marks: Mark) -> Json:
    """Match the link with one of the marks that connections are kept under; `{http.matchers.file.absolute}` is it.

    With this policy the directory is read and the file itself, a socket, is not opened.
    """
    pattern = marks[0].value if len(marks) == 1 else f"[{''.join(marks)}]"
    matched = file_matcher(settings.run / KEPT, f"{route}/{pattern}*")
    matched["file"]["try_policy"] = "first_exist_fallback"
    return matched


def _logged() -> Json:
    return append("traceparent", "{http.request.header.Traceparent}")


def _to_app_kept(settings: EdgeSettings) -> list[Json]:
    """Hand the request over on a connection that is kept for the next one.

    One that the app closes just then loses nothing: Go's transport sends what may be sent again (GET, HEAD, OPTIONS, no
    body) on another when the first ends before a byte of the answer. The forwarder sees to it that this is not so
    where an app had taken the request. Connections are kept by the name that was dialled, and it changes with the
    instances that accept: old ones are used no more, and closed when they were idle for a moment. Where the name has
    changed since it was looked up, `_errors` goes to the app's own socket.
    """
    return _kept_forward(settings, "unix/{http.matchers.file.absolute}")


def _kept_forward(settings: EdgeSettings, dial: str) -> list[Json]:
    proxy = _forward(settings, dial, dial_for_s=0)
    proxy[-1]["transport"]["keep_alive"] = {"idle_timeout": seconds(KEPT_IDLE_S)}
    return proxy


def _to_app(settings: EdgeSettings) -> list[Json]:
    """Hand the request over.

    A request that an app has read is not sent again, not even a GET: one that kills its instance would kill them all.
    """
    return _forward(settings, f"unix/{settings.run / 'routes'}{{http.vars.route}}", dial_for_s=settings.dial_for_s)


def _forward(settings: EdgeSettings, dial: str, *, dial_for_s: float) -> list[Json]:
    proxy = _proxy(dial, dial_for_s=dial_for_s)
    proxy["transport"]["response_header_timeout"] = seconds(settings.answer_within_s)
    proxy["load_balancing"]["retry_match"] = [{"method": ["-"]}]
    return [append("upstream_ms", "{http.reverse_proxy.upstream.duration_ms}"), proxy]


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
        "errors": {"routes": [{"match": [NOT_DIALLED], "handle": _to_app(settings)}]},
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
        "load_balancing": {"try_duration": seconds(dial_for_s), "try_interval": "100ms"},
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


# what went wrong


def _errors(settings: EdgeSettings) -> list[Json]:
    status = "{http.error.status_code}"
    down = {**file_matcher(settings.run / "flags" / "down", "{http.vars.route}"), "vars": {status: ["502", "504"]}}
    told: list[Json] = [
        {"handle": [append("error", "{http.error.message}")]},
        {
            "match": [{"host": list(settings.control_hosts)}],
            "handle": [pages.answer_json(pages.RESTARTING)],
            "terminal": True,
        },
        {"match": [NOT_DIALLED, down], "handle": [subroute(pages.answer(pages.DOWN))], "terminal": True},
        {"match": [{"vars": {status: ["504"]}}], "handle": [subroute(pages.answer(pages.SLOW))], "terminal": True},
        {"match": [{"vars": {status: ["400"]}}], "handle": [subroute(pages.answer(pages.BAD_HOST))], "terminal": True},
        *pages.answer(pages.FAILED),
    ]
    gone = {**NOT_DIALLED, "vars": {"{http.vars.kept}": ["yes"]}}
    again = {"handler": "subroute", "routes": [{"handle": _to_app(settings)}], "errors": {"routes": told}}
    return [{"match": [gone], "handle": [again], "terminal": True}, *told]
