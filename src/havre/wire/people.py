"""People, their credentials, organisations and consumers over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from havre.wire.models import Wire

Text = Annotated[str, Field(max_length=2000)]
RoleName = Literal["ADMIN", "MANAGER", "DEVELOPER", "ACCOUNTING"]


class SelfObject(Wire):
    id: str
    email: str
    name: str
    phone: str = ""
    address: str = ""
    city: str = ""
    zipcode: str = ""
    country: str = ""
    avatar: str | None = None
    creationDate: int
    lang: str = "EN"
    emailValidated: bool = True
    oauthApps: list[str] = Field(default_factory=list)
    admin: bool = False
    canPay: bool = True
    preferredMFA: str = "NONE"
    hasPassword: bool = True
    partnerId: str = ""
    partnerName: str = ""
    partnerConsoleUrl: str


class NewPerson(Wire):
    email: str
    name: str | None = None
    isOperator: bool = False


class SshKey(Wire):
    name: str
    key: str
    fingerprint: str


class EmailChange(Wire):
    """`PUT /v2/self/emails/{email}`, often without a body."""

    make_primary: bool = False


class PasswordChange(Wire):
    oldPassword: Text
    newPassword: Text


class FactorBegun(Wire):
    """`POST /v2/self/mfa/TOTP`."""

    secret: str
    url: str


class FactorCode(Wire):
    code: Annotated[str, Field(max_length=40)]


class FactorDropped(Wire):
    password: Text
    code: Annotated[str, Field(max_length=40)] = ""


class SpareCodes(Wire):
    codes: list[str]


class NewApiToken(Wire):
    """`POST /api-tokens`. The password is asked again; expirationDate is ISO 8601."""

    email: Text
    password: Text
    mfaCode: str | None = None
    name: str
    description: str | None = None
    expirationDate: Annotated[str, Field(max_length=40)]


class ApiTokenChange(Wire):
    name: str
    description: str | None = None


class ApiToken(Wire):
    apiTokenId: str
    userId: str
    name: str
    description: str
    ip: str
    creationDate: str
    expirationDate: str
    state: Literal["ACTIVE", "EXPIRED"]


class MadeApiToken(ApiToken):
    apiToken: str


class Organisation(Wire):
    id: str
    name: str
    description: str = ""
    avatar: str | None = None
    role: str
    canPay: bool = True
    cleverEnterprise: bool = False


class OrganisationChange(Wire):
    name: str


class NewMember(Wire):
    email: Text
    role: RoleName
    job: str | None = None


class MemberChange(Wire):
    role: RoleName
    job: str | None = None


class MemberPerson(Wire):
    id: str
    email: str
    name: str
    avatar: str | None = None
    preferredMFA: str = "NONE"


class Member(Wire):
    member: MemberPerson
    role: str
    job: str | None = None


class AuditEntry(Wire):
    """Who did what from where. result: `ok` or `denied`."""

    seq: int
    at: int
    actor_id: str | None
    action: str
    subject: str | None
    source: str | None
    result: str


class NewConsumer(Wire):
    name: str
    description: str | None = None
    url: str | None = None
    picture: str | None = None
    baseUrl: str | None = None
    rights: dict[str, bool] = Field(default_factory=dict)


class Consumer(Wire):
    key: str
    name: str
    description: str
    url: str
    picture: str
    baseUrl: str
    rights: dict[str, bool]
    ownerId: str


class ConsumerSecret(Wire):
    secret: str


class SummaryConsumer(Wire):
    key: str
    name: str
    url: str
    picture: str


class OauthToken(Wire):
    token: str
    consumer: dict[str, Any]
    creationDate: int
    expirationDate: int
    lastUtilisation: int | None = None
    rights: dict[str, bool]
    employeeId: str | None = None


class QuotaObject(Wire):
    """0: no limit."""

    apps: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    instances: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class OwnerQuota(QuotaObject):
    id: str
    name: str
    isPersonal: bool
    usedApps: int


class PersonObject(Wire):
    id: str
    email: str
    name: str
    isOperator: bool
    hasSecondFactor: bool = False
    createdAt: int = 0


class MadePerson(Wire):
    id: str
    email: str
    organisation: str
    password: str
    token: str
    secret: str


class PersonToken(Wire):
    id: str
    kind: Literal["oauth", "api-token"]
    name: str
    expiresAt: int


class NewPassword(Wire):
    password: str


class Letter(Wire):
    """A letter of the platform, as `havre outbox` shows it."""

    id: int
    to: str
    subject: str
    text: str
    state: str
    tries: int
    error: str
    createdAt: int
