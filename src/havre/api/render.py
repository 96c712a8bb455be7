"""Domain values as structs of the wire. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from havre.api.context import shown_fqdn
from havre.apps import App, Deployment, Instance, InstanceState, pretty_name, runtimes
from havre.base.flavors import FLAVORS, Flavor, flavor
from havre.edge import Vhost
from havre.kernel.config import Config
from havre.kernel.operations import OperationView
from havre.wire import models, overview

IMAGE = "20261101"
SPACE = uuid.UUID("6a9f2f4e-1d2b-5c3a-8e4f-0b1c2d3e4f50")


def flavor_object(found: Flavor) -> models.FlavorObject:
    return models.FlavorObject(
        name=found.name,
        mem=found.memory_mib,
        cpus=found.cpus,
        price=found.price_per_h,
        microservice=found.is_shared,
        nice=5 if found.is_shared else 0,
        price_id=f"apps.{found.name}",
        memory=models.Memory(value=found.memory_bytes, formatted=f"{found.memory_mib} MiB"),
    )


def flavor_objects() -> list[models.FlavorObject]:
    return [flavor_object(each) for each in FLAVORS]


def variant(runtime: runtimes.Runtime) -> models.Variant:
    return models.Variant(id=runtime.variant_id, slug=runtime.slug, name=runtime.name, deployType=runtime.type)


def application(
    app: App, vhosts: Sequence[Vhost], env: Mapping[str, str], tags: Sequence[str], config: Config
) -> models.Application:
    runtime = runtimes.of(app.runtime)
    url = f"{config.origin}/git/{app.id}.git"
    return models.Application(
        id=app.id,
        name=app.name,
        description=app.description,
        zone=app.zone,
        zoneId=zone_id(app.zone),
        ownerId=app.owner_id,
        instance=models.InstanceSettings(
            type=runtime.type,
            version=IMAGE,
            variant=variant(runtime),
            minInstances=app.min_instances,
            maxInstances=app.max_instances,
            minFlavor=flavor_object(flavor(app.min_flavor)),
            maxFlavor=flavor_object(flavor(app.max_flavor)),
            flavors=flavor_objects(),
            lifetime=app.lifetime,
            instanceAndVersion=f"{runtime.type}-{IMAGE}",
        ),
        deployment=models.DeploymentSettings(url=url, httpUrl=url),
        vhosts=[vhost(each, config) for each in vhosts],
        creationDate=app.created_at,
        last_deploy=app.deployed_at,
        stickySessions=app.sticky_sessions,
        homogeneous=app.homogeneous,
        cancelOnPush=app.cancel_on_push,
        separateBuild=app.separate_build,
        buildFlavor=flavor_object(flavor(app.build_flavor)),
        state=app.state,
        commitId=app.commit_id,
        branch=app.branch,
        forceHttps="ENABLED" if app.force_https else "DISABLED",
        env=variables(env),
        tags=list(tags),
        deployUrl=url,
    )


def vhost(found: Vhost, config: Config) -> models.VhostObject:
    return models.VhostObject(fqdn=shown_fqdn(found.fqdn, config))


def variables(env: Mapping[str, str]) -> list[models.Variable]:
    return [models.Variable(name=name, value=value) for name, value in sorted(env.items())]


def deployment(found: Deployment) -> models.DeploymentObject:
    return models.DeploymentObject(
        id=found.number,
        uuid=found.id,
        date=found.created_at,
        state=found.state,
        action=found.action,
        commit=found.commit_id or None,
        cause=found.cause,
        instances=found.instances,
        author=models.Author(id=found.author_id, name=found.author_name),
        endedAt=found.ended_at,
        error=found.error,
    )


def instance(found: Instance, made_by: Deployment | None) -> models.InstanceObject:
    return models.InstanceObject(
        id=found.id,
        appId=found.app_id,
        ip="127.0.0.1",
        state="STOPPING" if found.state is InstanceState.STOPPING else found.state,
        flavor=flavor_object(flavor(found.flavor)),
        commit=found.commit_id,
        deployNumber=made_by.number if made_by else 0,
        deployId=found.deployment_id,
        instanceNumber=found.number,
        displayName=pretty_name(found.id),
        creationDate=found.created_at,
    )


def product(runtime: runtimes.Runtime, *, lack: str = "") -> models.Product:
    """lack: why its apps cannot run on this machine."""
    return models.Product(
        type=runtime.type,
        version=IMAGE,
        name=runtime.name,
        variant=variant(runtime),
        description=f"{runtime.name} applications" + (f" (not on this machine: {lack})" if lack else ""),
        flavors=flavor_objects(),
        defaultFlavor=flavor_object(flavor("XS")),
        buildFlavor=flavor_object(flavor("S")),
    )


def zone_id(name: str) -> str:
    return str(uuid.uuid5(SPACE, name))


def zones() -> list[models.Zone]:
    """This machine is one zone, `par`, the name that the CLI takes by default."""
    place = {"country": "France", "countryCode": "FR", "city": "Paris", "lat": 48.87, "lon": 2.33}
    return [models.Zone(id=zone_id("par"), name="par", tags=["scope:private", "for:applications"], **place)]


def steps(seen: OperationView, names: tuple[str, ...]) -> list[overview.ProgressStep]:
    """The steps of an operation in their order; those to come too, while it goes on."""
    known = {each.name: each for each in seen.steps}
    found = []
    for name in names:
        each = known.get(name)
        if each is not None:
            step = {"state": each.status, "beganAt": each.began_at, "endedAt": each.ended_at}
            found.append(overview.ProgressStep.model_validate({"name": name, **step}))
        elif not seen.has_ended:
            found.append(overview.ProgressStep(name=name, state="waiting", beganAt=None, endedAt=None))
    return found
