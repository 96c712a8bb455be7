"""OAuth 1 signatures (RFC 5849): PLAINTEXT, HMAC-SHA1, HMAC-SHA256, HMAC-SHA512.

The `clever` CLI sends PLAINTEXT without naming it. One client in use leaves the query out of its base string;
both base strings are accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from havre.base.errors import InvalidError

_FIELD = re.compile(r'\s*([A-Za-z0-9_]+)="([^"]*)"\s*(?:,|$)')
_DIGESTS = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256, "HMAC-SHA512": hashlib.sha512}
WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class Signed:
    """What an Authorization header of scheme OAuth says."""

    consumer_key: str
    token: str
    signature: str
    method: str = "PLAINTEXT"
    nonce: str = ""
    timestamp: int = 0
    fields: tuple[tuple[str, str], ...] = field(default=())


def parse(header: str) -> Signed:
    """Read the header (RFC 5849 section 3.5.1). Raises InvalidError when it is not one."""
    fields = _fields(header)
    if "oauth_token" not in dict(fields):
        raise InvalidError("the OAuth header lacks a field")
    return _signed(dict(fields), tuple(fields))


def _fields(header: str) -> list[tuple[str, str]]:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth" or len(header) > 8192:
        raise InvalidError("the Authorization header is not an OAuth one")
    fields: dict[str, str] = {}
    at = 0
    while at < len(rest):
        match = _FIELD.match(rest, at)
        if match is None or match[1] in fields:
            raise InvalidError("the OAuth header is malformed")
        fields[match[1]] = unquote(match[2])
        at = match.end()
    return sorted(fields.items())


def _signed(found: dict[str, str], fields: tuple[tuple[str, str], ...]) -> Signed:
    stamp = found.get("oauth_timestamp") or "0"
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        raise InvalidError("oauth_timestamp is not a number of seconds")
    try:
        return Signed(
            consumer_key=found["oauth_consumer_key"],
            token=found.get("oauth_token", ""),
            signature=found["oauth_signature"],
            method=found.get("oauth_signature_method", "PLAINTEXT").upper(),
            nonce=found.get("oauth_nonce", ""),
            timestamp=int(stamp),
            fields=fields,
        )
    except KeyError as cause:
        raise InvalidError("the OAuth header lacks a field") from cause


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the OAuth dance: its parameters stand in the header, the query or the form (section 3.5)."""

    header: str
    method: str
    url: str
    form: tuple[tuple[str, str], ...] = ()

    def field(self, name: str) -> str:
        return dict(self.parameters()).get(name, "")

    def parameters(self) -> list[tuple[str, str]]:
        query = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        return [*(_fields(self.header) if self.header else ()), *query, *self.form]


def parse_asked(asked: Asked) -> Signed:
    """Like `parse`, from wherever the parameters are; a token may be missing. Raises InvalidError."""
    if asked.header:
        return _signed(dict(_fields(asked.header)), tuple(_fields(asked.header)))
    found = {name: value for name, value in asked.parameters() if name.startswith("oauth_")}
    return _signed(found, ())  # what stands in query and form is signed with them


def verify(
    signed: Signed,
    *,
    consumer_secret: str,
    token_secret: str,
    method: str,
    url: str,
    form: Sequence[tuple[str, str]] = (),
) -> bool:
    """Whether the signature is of these two secrets. `url` is the one that the client saw."""
    if signed.method == "PLAINTEXT":
        expected = f"{consumer_secret}&{token_secret}"
        return any(_same(each, expected) for each in (signed.signature, unquote(signed.signature)))
    digest = _DIGESTS.get(signed.method)
    if digest is None:
        return False
    key = f"{quote(consumer_secret, safe='')}&{quote(token_secret, safe='')}".encode()
    answers = []
    for with_query in (True, False):
        base = base_string(signed, method=method, url=url, form=form, with_query=with_query)
        answers.append(base64.b64encode(hmac.new(key, base.encode(), digest).digest()).decode())
    return any([_same(each, signed.signature) for each in answers])


def _same(left: str, right: str) -> bool:
    """In constant time; texts may hold anything."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))


def base_string(
    signed: Signed, *, method: str, url: str, form: Sequence[tuple[str, str]] = (), with_query: bool = True
) -> str:
    """The signature base string (RFC 5849 section 3.4.1)."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port and parts.port != default else "")
    pairs = list(signed.fields)
    if with_query:
        pairs += [*parse_qsl(parts.query, keep_blank_values=True), *form]
    pairs = [pair for pair in pairs if pair[0] not in ("oauth_signature", "realm")]
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    parameters = "&".join(f"{name}={value}" for name, value in encoded)
    address = f"{parts.scheme.lower()}://{host.lower()}{parts.path}"
    return "&".join(quote(each, safe="~") for each in (method.upper(), address, parameters))
