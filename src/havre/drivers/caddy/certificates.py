"""Where Caddy gets certificates from, and what authorities ask it for."""

from __future__ import annotations

from pathlib import Path

from havre.drivers.caddy.parts import NORMAL_HOST, Json, address, file_matcher, is_specific, subroute
from havre.drivers.caddy.settings import EdgeSettings

CERTIFICATE_PATH = "/.well-known/havre/certificate"
CHALLENGE = r"^/\.well-known/acme-challenge/([A-Za-z0-9_-]{1,200})$"
LOOPBACK = ("127.0.0.0/8", "::1/128")


def tls_of(settings: EdgeSettings) -> Json:
    """Caddy makes no certificate: at each full handshake it asks itself for the one that stands in `certs`."""
    host = settings.binds[0] if is_specific(settings.binds[0]) else "127.0.0.1"
    url = f"http://{address(host, settings.http_port)}{CERTIFICATE_PATH}/{settings.secret}"
    policy = {"on_demand": True, "get_certificate": [{"via": "http", "url": url}]}
    return {"automation": {"policies": [policy], "on_demand": {"permission": {"module": "http", "endpoint": url}}}}


def certificates_route(settings: EdgeSettings) -> Json:
    """The certificate and key for `?server_name=`: of the host, or of the wildcard over it, or of who names none.

    It is a door to private keys: for this machine only, and for who knows the secret in the path.
    """
    asked = "{http.request.uri.query.server_name}"
    own = [each for each in settings.binds if is_specific(each)]
    folder = settings.run / "certs"
    lower = (
        f'{{{{.RespHeader.Set "Location" (printf "{CERTIFICATE_PATH}/{settings.secret}?server_name=%s" '
        '(placeholder "http.request.uri.query.server_name" | lower))}}'
    )
    to_lower = {"handler": "static_response", "status_code": 308, "headers": {"Content-Type": ["text/html"]}}
    upper = {"vars_regexp": {asked: {"name": "upper", "pattern": "^[A-Za-z0-9.-]*[A-Z][A-Za-z0-9.-]*$"}}}
    found = file_matcher(folder, "{http.vars.asked}.pem", "_.{http.vars.parent}.pem")
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
        "handle": [{"handler": "vars", "log_skip": True}, subroute(inner)],
        "terminal": True,
    }


def challenge_routes(settings: EdgeSettings) -> list[Json]:
    """What a certificate authority looks for over plain HTTP; an app may still answer for its own tokens."""
    folder = settings.run / "acme"
    token = {"vars_regexp": {"{http.request.uri.path}": {"name": "token", "pattern": CHALLENGE}}}
    return [
        {"match": [token], "handle": [{"handler": "vars", "token": "{http.regexp.token.1}"}]},
        {
            "match": [{**token, **file_matcher(folder, "{http.vars.token}")}],
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
