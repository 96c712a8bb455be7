"""The driver of the RIPE database's REST form: objects read, tried, created, modified and deleted over HTTPS.

An object travels as JSON attributes and stays RPSL here. Whoever writes shows an API key (Basic: id and secret). A
modification replaces the whole object: what is not sent is gone, so that callers start from what `get` gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from havre.base.errors import ConflictError, DeniedError, HavreError, InvalidError, NotFoundError, UnavailableError
from havre.base.secret import Secret
from havre.drivers.irr import rpsl
from havre.drivers.irr.rpsl import Attribute, RpslObject

__all__ = ["ApiKey", "Database", "Notice", "Outcome"]
PUBLIC = "https://rest.db.ripe.net"
MOST_BYTES = 16 * 1024 * 1024
CLASSES = {
    "route",
    "route6",
    "as-set",
    "aut-num",
    "mntner",
    "inetnum",
    "inet6num",
    "route-set",
    "person",
    "role",
    "organisation",
}
BY_STATUS: dict[int, type[HavreError]] = {
    400: InvalidError,
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: DeniedError,
}


@dataclass(frozen=True)
class ApiKey:
    """Who writes. Made by a person at the registry's own site, and limited there."""

    id: str
    secret: Secret


@dataclass(frozen=True)
class Notice:
    """One message of the registry. `severity`: Error, Warning, Info; `attribute`: what it is about, or empty."""

    severity: str
    text: str
    attribute: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}" + (f" (at {self.attribute})" if self.attribute else "")


@dataclass(frozen=True)
class Outcome:
    """What the registry has now, or would have, and what it said to it."""

    object: RpslObject
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Database:
    """One source at one address. is_trial: everything is asked as a dry run, which changes nothing."""

    url: str = PUBLIC
    source: str = "RIPE"
    key: ApiKey | None = None
    is_trial: bool = False
    limit_s: float = 30.0
    ca_bundle: str = ""

    async def get(self, kind: str, key: str) -> RpslObject | None:
        """The object as it is, with its contacts; None when there is none."""
        try:
            found = await self._ask("GET", kind, key, params={"unfiltered": "true"})
        except NotFoundError:
            return None
        return found.object

    async def create(self, each: RpslObject) -> Outcome:
        """Raises ConflictError when there is one, InvalidError or DeniedError in the registry's words."""
        return await self._ask("POST", each.kind, "", body=each)

    async def modify(self, each: RpslObject, *, key: str) -> Outcome:
        """Put `each` in the place of the object of that key. Raises NotFoundError when there is none."""
        return await self._ask("PUT", each.kind, key, body=each)

    async def delete(self, kind: str, key: str, *, why: str) -> Outcome:
        """Raises NotFoundError when there is none."""
        return await self._ask("DELETE", kind, key, params={"reason": why})

    async def _ask(
        self,
        method: str,
        kind: str,
        key: str,
        *,
        params: dict[str, str] | None = None,
        body: RpslObject | None = None,
    ) -> Outcome:
        if kind not in CLASSES:
            raise InvalidError(f"{kind!r} is not a class that we read or write")
        asked = dict(params or {})
        if self.is_trial and method != "GET":
            asked["dry-run"] = "true"
        path = f"/{quote(self.source.lower(), safe='')}/{kind}" + (f"/{quote(key, safe='/:')}" if key else "")
        who = httpx.BasicAuth(self.key.id, self.key.secret.reveal()) if self.key else None
        doing = f"{method} {kind} {key or (body.key if body else '')} at {self.url}"
        try:
            async with httpx.AsyncClient(timeout=self.limit_s, verify=self._trust()) as client:
                request = client.build_request(
                    method,
                    self.url.rstrip("/") + path,
                    params=asked,
                    json=_tree(body, self.source) if body else None,
                    headers={"accept": "application/json"},
                )
                answer = await client.send(request, auth=who, follow_redirects=False)
        except httpx.HTTPError as cause:
            raise UnavailableError(f"{doing}: the registry did not answer") from cause
        return self._outcome(answer, doing)

    def _trust(self) -> Any:
        if not self.ca_bundle:
            return True
        import ssl

        return ssl.create_default_context(cafile=self.ca_bundle)

    def _outcome(self, answer: httpx.Response, doing: str) -> Outcome:
        if len(answer.content) > MOST_BYTES:
            raise UnavailableError(f"{doing}: the answer has more bytes than we read")
        tree = _json(answer)
        notices = _notices(tree)
        if answer.status_code >= 300:
            wrong = [str(each) for each in notices if each.severity == "Error"] or [f"status {answer.status_code}"]
            raise BY_STATUS.get(answer.status_code, UnavailableError)(f"{doing}: {'; '.join(wrong)[:2000]}")
        try:
            (found,) = tree["objects"]["object"]
            return Outcome(_object(found["attributes"]["attribute"]), notices)
        except (KeyError, TypeError, ValueError) as cause:
            raise UnavailableError(f"{doing}: the answer is not one object") from cause


def _tree(each: RpslObject, source: str) -> dict[str, Any]:
    attributes = []
    for one in each.attributes:
        plain = [line.partition("#") for line in one.text.split("\n")]
        found = {"name": one.name, "value": " ".join(value.strip() for value, _, _ in plain if value.strip())}
        comments = " ".join(comment.strip() for _, _, comment in plain if comment.strip())
        attributes.append(found | ({"comment": comments} if comments else {}))
    made = {"type": each.kind, "source": {"id": source.lower()}, "attributes": {"attribute": attributes}}
    return {"objects": {"object": [made]}}


def _object(rows: Sequence[Any]) -> RpslObject:
    pairs = []
    for row in rows:
        comment = f" # {row['comment']}" if row.get("comment") else ""
        pairs.append(Attribute(str(row["name"]).lower(), f"{row['value']}{comment}".replace("\r", "")))
    return rpsl.of((each.name, each.text) for each in pairs)


def _notices(tree: Any) -> tuple[Notice, ...]:
    rows = (tree.get("errormessages") or {}).get("errormessage") if isinstance(tree, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict):
            continue
        text = str(row.get("text", ""))
        for each in row.get("args") or ():
            text = text.replace("%s", str(each.get("value", "")) if isinstance(each, dict) else "", 1)
        about = row.get("attribute")
        name = str(about.get("name", "")) if isinstance(about, dict) else ""
        found.append(Notice(str(row.get("severity", "Error")), text.strip(), name))
    return tuple(found)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return {}
