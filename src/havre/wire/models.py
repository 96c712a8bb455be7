"""What goes over the wire, v2 of the contract. Moments are ms since the epoch unless a field says otherwise."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """Unknown fields of a request are ignored: clients send back whole objects that they were given."""

    model_config = ConfigDict(extra="ignore")


class Message(Wire):
    id: int
    message: str
    type: Literal["success", "info", "warning", "error"]
    deploymentId: str | None = None


class Memory(Wire):
    unit: str = "B"
    value: int
    formatted: str


class FlavorObject(Wire):
    name: str
    mem: int
    cpus: int
    gpus: int = 0
    disk: int | None = 0
    price: float
    available: bool = True
    microservice: bool
    machine_learning: bool = False
    nice: int
    price_id: str
    memory: Memory
    cpuFactor: float = 1.0
    memFactor: float = 1.0


class Variant(Wire):
    id: str
    slug: str
    name: str
    deployType: str
    logo: str = ""


class InstanceSettings(Wire):
    type: str
    version: str
    variant: Variant
    minInstances: int
    maxInstances: int
    maxAllowedInstances: int = 40
    minFlavor: FlavorObject
    maxFlavor: FlavorObject
    flavors: list[FlavorObject]
    defaultEnv: dict[str, str] = Field(default_factory=dict)
    lifetime: str
    instanceAndVersion: str


class DeploymentSettings(Wire):
    shutdownable: bool = False
    type: str = "GIT"
    repoState: str = "CREATED"
    url: str
    httpUrl: str


class VhostObject(Wire):
    fqdn: str


class Namespace(Wire):
    """Where public TCP ports are counted: `default` and `cleverapps` are known to the command line."""

    namespace: str = "default"


class TcpRedirection(Wire):
    namespace: str
    port: int


class NewCertificate(Wire):
    """PEM texts. `certificate` is the chain, leaf first or not; the key may stand in it too."""

    certificate: str
    key: str = ""


class CertificateObject(Wire):
    """`domains`: those that it may be shown for now. `note`: a doubt that is no error, when it was just uploaded."""

    id: str
    ownerId: str | None
    kind: str
    names: list[str]
    issuer: str
    notBefore: str
    notAfter: str
    fingerprint: str
    domains: list[str]
    note: str = ""


class Variable(Wire):
    name: str
    value: str


class LinkedEnv(Wire):
    app_id: str
    app_name: str
    env: list[Variable]


class Application(Wire):
    id: str
    name: str
    description: str
    zone: str
    zoneId: str
    ownerId: str
    instance: InstanceSettings
    deployment: DeploymentSettings
    vhosts: list[VhostObject]
    creationDate: int
    last_deploy: int
    archived: bool = False
    stickySessions: bool
    homogeneous: bool
    favourite: bool = False
    cancelOnPush: bool
    webhookUrl: str | None = None
    webhookSecret: str | None = None
    separateBuild: bool
    buildFlavor: FlavorObject
    state: str
    commitId: str | None
    appliance: str | None = None
    branch: str
    forceHttps: str
    env: list[Variable]
    tags: list[str] = Field(default_factory=list)
    deployUrl: str


class NewApplication(Wire):
    """`POST …/applications`."""

    name: str
    instanceType: str
    instanceVariant: str | None = None
    instanceVersion: str | None = None
    description: str | None = None
    zone: str | None = None
    deploy: str | None = None
    minInstances: int = 1
    maxInstances: int = 1
    minFlavor: str = "XS"
    maxFlavor: str = "XS"
    buildFlavor: str | None = None
    separateBuild: bool = False
    instanceLifetime: str = "REGULAR"
    branch: str | None = None
    stickySessions: bool = False
    homogeneous: bool = False
    cancelOnPush: bool = False
    forceHttps: str | None = None
    env: dict[str, str] | None = None


class ApplicationChanges(Wire):
    """`PUT …/applications/{id}`: only what is given changes. `clever scale` sends the whole instance object back."""

    name: str | None = None
    description: str | None = None
    zone: str | None = None
    minInstances: int | None = None
    maxInstances: int | None = None
    minFlavor: str | dict[str, Any] | None = None
    maxFlavor: str | dict[str, Any] | None = None
    buildFlavor: str | dict[str, Any] | None = None
    separateBuild: bool | None = None
    instanceLifetime: str | None = None
    stickySessions: bool | None = None
    homogeneous: bool | None = None
    cancelOnPush: bool | None = None
    forceHttps: str | None = None
    branch: str | None = None


class Branch(Wire):
    """`PUT …/applications/{id}/branch`."""

    branch: str


class Author(Wire):
    id: str
    name: str


class DeploymentObject(Wire):
    id: int
    uuid: str
    date: int
    state: str
    action: str
    commit: str | None
    cause: str
    instances: int
    author: Author
    endedAt: int | None = None
    error: str = ""


class InstanceObject(Wire):
    id: str
    appId: str
    ip: str
    appPort: int = 8080
    state: str
    flavor: FlavorObject
    commit: str
    deployNumber: int
    deployId: str
    instanceNumber: int
    displayName: str
    creationDate: int


class SummaryApplication(Wire):
    id: str
    name: str
    instanceType: str
    instanceVariant: str
    variantSlug: str
    variantLogoUrl: str = ""
    archived: bool = False
    homogeneous: bool
    state: str
    commit: str | None
    systemTags: list[str] = Field(default_factory=list)
    customerTags: list[str] = Field(default_factory=list)


class SummaryOrganisation(Wire):
    id: str
    name: str
    avatar: str | None = None
    role: str
    providers: list[Any] = Field(default_factory=list)
    vatState: str = "NOT_NEEDED"
    canPay: bool = True
    canSEPA: bool = False
    cleverEnterprise: bool = False
    emergencyNumber: str | None = None
    isTrusted: bool = True
    applications: list[SummaryApplication]
    addons: list[Any] = Field(default_factory=list)
    consumers: list[Any] = Field(default_factory=list)


class SummaryUser(Wire):
    id: str
    name: str
    email: str
    avatar: str | None = None
    lang: str = "EN"
    admin: bool = False
    canSEPA: bool = False
    partnerId: str = ""
    partnerName: str = ""
    partnerConsoleUrl: str
    applications: list[SummaryApplication] = Field(default_factory=list)
    addons: list[Any] = Field(default_factory=list)
    consumers: list[Any] = Field(default_factory=list)


class Summary(Wire):
    user: SummaryUser
    organisations: list[SummaryOrganisation]


class Product(Wire):
    type: str
    version: str
    name: str
    variant: Variant
    description: str
    enabled: bool = True
    comingSoon: bool = False
    maxInstances: int = 40
    tags: list[str] = Field(default_factory=list)
    deployments: list[str] = Field(default_factory=lambda: ["git"])
    flavors: list[FlavorObject]
    defaultFlavor: FlavorObject
    buildFlavor: FlavorObject


class Zone(Wire):
    id: str
    name: str
    country: str
    countryCode: str
    city: str
    displayName: str | None = None
    lat: float
    lon: float
    outboundIPs: list[str] = Field(default_factory=list)
    status: str = "ACTIVE"
    tags: list[str] = Field(default_factory=list)


class Value(Wire):
    value: str


class PackageObject(Wire):
    name: str
    version: str


class StackApp(Wire):
    id: str
    name: str


class StackObject(Wire):
    """A stack. `packages` is given when one is asked for, else empty."""

    id: str
    asked: list[str]
    packageCount: int
    bytes: int
    madeAt: int
    usedAt: int
    needed: bool
    apps: list[StackApp]
    packages: list[PackageObject] = Field(default_factory=list)


class StackList(Wire):
    """`available`: whether this machine can have stacks; where it cannot, apps see its own /usr."""

    available: bool
    stacks: list[StackObject]


class UpgradeRequest(Wire):
    apps: list[str] = Field(default_factory=list)
    all: bool = False


class UpgradeMove(Wire):
    """What an app moves to; no `changes` means that it stays, and `problem` says why when that is not by itself."""

    app: StackApp
    old: str
    new: str
    changes: list[str]
    rebuilds: bool
    problem: str
    deployment: str | None
    state: str | None


class UpgradeStatus(Wire):
    id: str
    status: str
    error: str
    moves: list[UpgradeMove]
