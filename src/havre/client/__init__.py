"""A small typed client of the API, for the command line and for scripts."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from havre.base.errors import DeniedError, HavreError, InvalidError, UnavailableError
from havre.wire import models

CONSUMER = ("T5nFjKeHH4AIlEveuGhB5S3xg8T19e", "MgVMqTr6fWlf2M0tkC2MXOnhfqBWDT")


@dataclass(frozen=True)
class Client:
    """Talks to one installation as one person (OAuth 1 PLAINTEXT, as the `clever` CLI does)."""

    api: str
    ca: Path
    token: str
    secret: str

    @classmethod
    def of_data(cls, data: Path) -> Client:
        """The operator of the installation in `data`. Raises UnavailableError when it does not run."""
        try:
            status = json.loads((data / "status.json").read_text())
            credentials = json.loads((data / "credentials.json").read_text())
        except (OSError, ValueError) as cause:
            raise UnavailableError(f"Havre does not run on {data} (start it: havre up)") from cause
        return cls(status["api"], Path(status["ca"]), credentials["token"], credentials["secret"])

    def status(self) -> models.PlatformStatus:
        return models.PlatformStatus.model_validate(self.call("GET", "/v2/havre/status"))

    def add_person(self, email: str, *, is_operator: bool) -> dict[str, Any]:
        found: dict[str, Any] = self.call("POST", "/v2/havre/people", {"email": email, "isOperator": is_operator})
        return found

    def people(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/v2/havre/people")
        return found

    def stacks(self) -> models.StackList:
        return models.StackList.model_validate(self.call("GET", "/v2/havre/stacks"))

    def stack(self, id: str) -> models.StackObject:
        return models.StackObject.model_validate(self.call("GET", f"/v2/havre/stacks/{quote(id, safe='')}"))

    def upgrade_stacks(self, apps: list[str], *, all_of_them: bool) -> models.UpgradeStatus:
        asked = {"apps": apps, "all": all_of_them}
        return models.UpgradeStatus.model_validate(self.call("POST", "/v2/havre/stacks/upgrades", asked))

    def upgrade(self, id: str) -> models.UpgradeStatus:
        return models.UpgradeStatus.model_validate(self.call("GET", f"/v2/havre/stacks/upgrades/{quote(id, safe='')}"))

    def create_organisation(self, name: str) -> models.Organisation:
        return models.Organisation.model_validate(self.call("POST", "/v2/organisations", {"name": name}))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request. Raises one of the seven errors with the API's own words."""
        signature = f"{CONSUMER[1]}%26{self.secret}"
        header = f'OAuth oauth_consumer_key="{CONSUMER[0]}", oauth_token="{self.token}", oauth_signature="{signature}"'
        trust = ssl.create_default_context(cafile=str(self.ca))
        try:
            with httpx.Client(verify=trust, trust_env=False, timeout=30) as client:
                answer = client.request(method, self.api + path, json=body, headers={"authorization": header})
        except httpx.TransportError as cause:
            raise UnavailableError(f"{self.api} does not answer") from cause
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _error(answer)


def _error(answer: httpx.Response) -> HavreError:
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the API answered {answer.status_code}"
    kinds: dict[int, type[HavreError]] = {401: DeniedError, 403: DeniedError, 503: UnavailableError}
    return kinds.get(answer.status_code, InvalidError)(message)
