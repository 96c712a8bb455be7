"""The request flow: programs in front of an app inside its instance (CC_REQUEST_FLOW). The page is README.md.

Pure: a chain of names becomes parts of the plan. The outermost listens on 8080, the next on 8081 and so on, each hands
on to the one behind it, the last to the app on 9000. What runs them is in `launch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from havre.apps.runtimes.plan import Part, Plan
from havre.apps.runtimes.request_flow import parts
from havre.apps.runtimes.tree import Tree
from havre.base.errors import InvalidError

__all__ = ["VARIABLES", "checked_ports", "public_port", "told", "with_flow"]

PUBLIC_PORT, APP_PORT = 8080, 9000
MOST_PARTS = 8
VARIABLES = frozenset({"CC_REQUEST_FLOW", "CC_REQUEST_FLOW_CUSTOM", "CC_VARNISH_FILE", "CC_VARNISH_STORAGE_SIZE"})
NOT_OFFERED = {
    "redirectionio": "its agent is in no package index",
    "otoroshi-challenge": "its middleware is in no package index",
}
NAMES = ("varnish", "oauth2-proxy", "custom")


def with_flow(plan: Plan, tree: Tree, env: Mapping[str, str]) -> Plan:
    """`plan` with the parts that `env` and the app's files ask for; the plan itself when there are none.

    Raises InvalidError for a name that there is not, a part without its settings, and one that is not offered: an app
    that asks to be protected is not started bare.
    """
    names = chain(tree, env)
    if not names:
        return plan
    flow, packages, toolchains, extra = [], list(plan.packages), list(plan.toolchains), dict(plan.env)
    for number, name in enumerate(names):
        port = PUBLIC_PORT + number
        onward = APP_PORT if number == len(names) - 1 else port + 1
        made = parts.MAKERS[name](env, port, onward)
        flow.append(Part(name, port, made.start))
        packages += [each for each in made.packages if each not in packages]
        toolchains += [each for each in made.toolchains if each not in toolchains]
        extra |= made.env
    return replace(
        plan, flow=tuple(flow), port=APP_PORT, packages=tuple(packages), toolchains=tuple(toolchains), env=extra
    )


def chain(tree: Tree, env: Mapping[str, str]) -> tuple[str, ...]:
    """The names in order, the outermost first. CC_REQUEST_FLOW replaces what would be found by itself."""
    asked = env.get("CC_REQUEST_FLOW", "").strip().lower()
    if not asked:
        return _found(tree, env)
    names = tuple(each.strip() for each in asked.split(",") if each.strip())
    if "disable" in names:
        return ()
    if "block" in names:  # all others are ignored then, by contract
        return ("block",)
    for name in names:
        if name in NOT_OFFERED:
            raise InvalidError(f"CC_REQUEST_FLOW: {name} is not offered by this installation: {NOT_OFFERED[name]}")
        if name not in NAMES:
            raise InvalidError(
                f"CC_REQUEST_FLOW: {name} is not one of {', '.join(NAMES)}; block and disable stand alone"
            )
    if len(names) > MOST_PARTS:
        raise InvalidError(f"CC_REQUEST_FLOW names {len(names)} parts, at most {MOST_PARTS} fit")
    return names


def _found(tree: Tree, env: Mapping[str, str]) -> tuple[str, ...]:
    """What is there without being asked for: a VCL file, or the settings of what is not offered."""
    for variable, name in (
        ("OTOROSHI_CHALLENGE_SECRET", "otoroshi-challenge"),
        ("CC_REDIRECTIONIO_PROJECT_KEY", "redirectionio"),
    ):
        if env.get(variable, "").strip():
            raise InvalidError(
                f"{variable} asks for {name}, which is not offered by this installation: {NOT_OFFERED[name]}; "
                "remove it, or set CC_REQUEST_FLOW=disable to start without"
            )
    return ("varnish",) if env.get("CC_VARNISH_FILE", "").strip() or parts.VCL in tree else ()


def checked_ports(plan: Plan) -> tuple[int, ...]:
    """The ports that must answer, besides the public one, before an instance is healthy."""
    if any(each.name == "block" for each in plan.flow):
        return ()
    inner = [each.port for each in plan.flow if each.port != PUBLIC_PORT]
    return (*inner, plan.port) if plan.flow else ()


def public_port(plan: Plan) -> int:
    """Where an instance is reached: the outermost part of its flow, or the app itself."""
    return plan.flow[0].port if plan.flow else plan.port


def told(plan: Plan) -> tuple[str, ...]:
    """The lines of the build log that name the chain; none without one."""
    if not plan.flow:
        return ()
    shown = [f"{each.name} on {each.port}" for each in plan.flow]
    if plan.flow[0].name == "block":
        return (f"Request flow: {shown[0]} answers 200 to everything; the app on {plan.port} is not reached",)
    return ("Request flow: " + " > ".join([*shown, f"the app on {plan.port} (PORT)"]),)
