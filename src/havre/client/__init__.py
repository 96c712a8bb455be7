"""A small typed client of the API, for the command line and for scripts."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from havre.base.errors import DeniedError, HavreError, InvalidError, NotFoundError, UnavailableError
from havre.wire import machine, models, network
from havre.wire import people as structs

MIGRATIONS = "/v2/havre/network/migrations"
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

    def status(self) -> machine.PlatformStatus:
        return machine.PlatformStatus.model_validate(self.call("GET", "/v2/havre/status"))

    def add_person(self, email: str, *, is_operator: bool) -> structs.MadePerson:
        found = self.call("POST", "/v2/havre/people", {"email": email, "isOperator": is_operator})
        return structs.MadePerson.model_validate(found)

    def people(self) -> list[structs.PersonObject]:
        return [structs.PersonObject.model_validate(each) for each in self.call("GET", "/v2/havre/people")]

    def person(self, email: str) -> structs.PersonObject:
        """Raises NotFoundError."""
        found = next((each for each in self.people() if email.strip().lower() in (each.email, each.id)), None)
        if found is None:
            raise NotFoundError(f"nobody here has the e-mail address {email}")
        return found

    def remove_person(self, id: str) -> None:
        self.call("DELETE", f"/v2/havre/people/{id}")

    def reset_password(self, id: str) -> str:
        return structs.NewPassword.model_validate(self.call("POST", f"/v2/havre/people/{id}/password")).password

    def tokens(self, id: str) -> list[structs.PersonToken]:
        return [structs.PersonToken.model_validate(each) for each in self.call("GET", f"/v2/havre/people/{id}/tokens")]

    def revoke_tokens(self, id: str) -> int:
        return int(self.call("DELETE", f"/v2/havre/people/{id}/tokens")["revoked"])

    def quotas(self) -> list[structs.OwnerQuota]:
        return [structs.OwnerQuota.model_validate(each) for each in self.call("GET", "/v2/havre/quotas")]

    def set_quota(self, owner_id: str, *, apps: int, instances: int) -> None:
        self.call("PUT", f"/v2/havre/quotas/{owner_id}", {"apps": apps, "instances": instances})

    def outbox(self) -> list[structs.Letter]:
        return [structs.Letter.model_validate(each) for each in self.call("GET", "/v2/havre/outbox")]

    def create_organisation(self, name: str) -> structs.Organisation:
        return structs.Organisation.model_validate(self.call("POST", "/v2/organisations", {"name": name}))

    def organisations(self) -> list[structs.Organisation]:
        return [structs.Organisation.model_validate(each) for each in self.call("GET", "/v2/organisations")]

    def add_member(self, owner_id: str, email: str, role: str) -> str:
        found = self.call("POST", f"/v2/organisations/{owner_id}/members", {"email": email, "role": role})
        return models.Message.model_validate(found).message

    def audit(self, owner_id: str, *, limit: int) -> list[structs.AuditEntry]:
        found = self.call("GET", f"/v2/organisations/{owner_id}/audit?limit={limit}")
        return [structs.AuditEntry.model_validate(each) for each in found]

    def stacks(self) -> models.StackList:
        return models.StackList.model_validate(self.call("GET", "/v2/havre/stacks"))

    def stack(self, id: str) -> models.StackObject:
        return models.StackObject.model_validate(self.call("GET", f"/v2/havre/stacks/{quote(id, safe='')}"))

    def upgrade_stacks(self, apps: list[str], *, all_of_them: bool) -> models.UpgradeStatus:
        asked = {"apps": apps, "all": all_of_them}
        return models.UpgradeStatus.model_validate(self.call("POST", "/v2/havre/stacks/upgrades", asked))

    def upgrade(self, id: str) -> models.UpgradeStatus:
        return models.UpgradeStatus.model_validate(self.call("GET", f"/v2/havre/stacks/upgrades/{quote(id, safe='')}"))

    def migrations(self) -> list[network.MigrationObject]:
        return [network.MigrationObject.model_validate(each) for each in self.call("GET", MIGRATIONS)]

    def migration(self, id: str) -> network.MigrationDetail:
        return network.MigrationDetail.model_validate(self.call("GET", f"{MIGRATIONS}/{quote(id, safe='')}"))

    def begin_migration(self, id: str, intent: str, goal: str) -> network.MigrationDetail:
        made = self.call("POST", MIGRATIONS, {"id": id, "intent": intent, "goal": goal})
        return network.MigrationDetail.model_validate(made)

    def change_migration(self, id: str, what: str, body: Any = None) -> Any:
        """what: confirmations, pause, resume or revert."""
        return self.call("POST", f"{MIGRATIONS}/{quote(id, safe='')}/{what}", body)

    def proof_of_migration(self, id: str) -> str:
        return network.Told.model_validate(self.call("GET", f"{MIGRATIONS}/{quote(id, safe='')}/proof")).text

    def certificates(self, owner_id: str = "") -> list[models.CertificateObject]:
        """Of an organisation; without one everybody's, for an operator."""
        return [models.CertificateObject.model_validate(each) for each in self.call("GET", _certificates(owner_id))]

    def add_certificate(self, certificate: str, key: str, owner_id: str = "") -> models.CertificateObject:
        made = self.call("POST", _certificates(owner_id), {"certificate": certificate, "key": key})
        return models.CertificateObject.model_validate(made)

    def remove_certificate(self, id: str, owner_id: str = "") -> None:
        self.call("DELETE", f"{_certificates(owner_id)}/{quote(id, safe='')}")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request. Raises one of the seven errors with the API's own words."""
        signature = f"{CONSUMER[1]}%26{self.secret}"
        header = f'OAuth oauth_consumer_key="{CONSUMER[0]}", oauth_token="{self.token}", oauth_signature="{signature}"'
        trust = ssl.create_default_context()  # the platform's own name may have a public certificate
        trust.load_verify_locations(cafile=str(self.ca))
        try:
            with httpx.Client(verify=trust, trust_env=False, timeout=30) as client:
                answer = client.request(method, self.api + path, json=body, headers={"authorization": header})
        except httpx.TransportError as cause:
            raise UnavailableError(f"{self.api} does not answer") from cause
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _error(answer)


def _certificates(owner_id: str) -> str:
    return f"/v2/organisations/{quote(owner_id, safe='')}/certificates" if owner_id else "/v2/havre/certificates"


def _error(answer: httpx.Response) -> HavreError:
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the API answered {answer.status_code}"
    kinds: dict[int, type[HavreError]] = {401: DeniedError, 403: DeniedError, 503: UnavailableError}
    return kinds.get(answer.status_code, InvalidError)(message)
