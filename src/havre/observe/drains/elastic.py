"""ELASTICSEARCH: the bulk API, into one index a day (`<prefix>-yyyy-MM-dd`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from havre.drivers.outbound import Outbound
from havre.observe.drains import format
from havre.observe.drains.model import Recipient
from havre.observe.model import LogRecord


class Elasticsearch:
    schemes: Mapping[str, int] = {"https": 443, "http": 80}
    needs: tuple[str, ...] = ("index",)

    async def send(self, outbound: Outbound, recipient: Recipient, lines: Sequence[LogRecord]) -> None:
        body = "".join(self._pair(recipient["index"], each) for each in lines).encode()
        user = recipient.get("username")
        auth = (user, recipient.get("password", "")) if user else None
        await outbound.post(recipient["url"], body, headers={"content-type": "application/x-ndjson"}, auth=auth)

    def _pair(self, prefix: str, line: LogRecord) -> str:
        found = format.compact(format.as_json(line))
        action = {"index": {"_index": f"{prefix}-{format.iso(line.at)[:10]}", "_id": line.id}}
        return json.dumps(action) + "\n" + json.dumps(found | {"@timestamp": found["date"]}) + "\n"
