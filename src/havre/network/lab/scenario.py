"""What a scenario is: data that a person can write. Its file's mistakes are told with their lines.

```yaml
name: hp-filters-us
what: The historical provider's filter of our routes lacks our number.
path: wrong
world: { hp_filter_has_new_origin: false }
do:
  - migrate: CLEANED
expect: { stage: PROPAGATED, lost_in: 0, lost_out: 0 }
```
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from havre.base.errors import InvalidError, UnavailableError
from havre.network.lab.world import Knobs
from havre.network.marks import Node, Reader

ACTS: dict[str, str] = {
    "migrate": "to a stage: until it is reached or taken back",
    "revert": "go back by one stage, or take back what is under way",
    "kill_controller": "kill -9, and start it again: now, or `every_stage` from here on",
    "wait": "seconds",
    "cut": "the link to an upstream: {link, how}, silent, carrier, ours or far",
    "mend": "a link",
    "disable": "a session without draining: an upstream's name",
    "drain": "an upstream, and then disable it",
    "enable": "an upstream",
    "restart": "an upstream's sessions",
    "kill_bird": "kill -9 an edge's daemon and start it again: its name, or {edge, recovers: true} for `bird -R`",
    "restart_bird": "an edge's daemon goes in a graceful restart and comes back (`bird -R`): its name",
    "drop": "an upstream forwards nothing any more, its sessions stay (grey failure)",
    "steer_away": "prefer the other upstreams to this one: what answers a grey failure",
    "configure": "push the configuration with the filters changed: how many times",
    "reload": "have every edge read the configuration that it has already: how many times",
    "until_used": "wait until an upstream is used again both ways; how long it took is told",
    "hold_time": "push another hold time for every session, in seconds",
    "hp_phase": "the historical provider does it unasked: 0 static preferred, 2 our route preferred, 3 static removed",
    "kill_frr": "kill -9 the BGP daemon of an upstream that runs FRR: its name",
    "flood": "an upstream sends so many routes more: {link, routes}",
}


@dataclass(frozen=True, slots=True)
class Act:
    what: str
    with_: Any


@dataclass(frozen=True, slots=True)
class Expect:
    """What has to come out: the stage at the end, and of each direction and family packets lost and the longest gap, at
    most; `least_`: at least, for what shows that something else is better. None: it is not said."""

    stage: str = ""
    lost_in: int | None = None
    lost_out: int | None = None
    gap_in_ms: float | None = None
    gap_out_ms: float | None = None
    least_gap_in_ms: float | None = None
    least_gap_out_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    what: str
    path: Literal["right", "wrong"]
    is_long: bool = False
    world: Knobs = field(default_factory=Knobs)
    start: str = "DRAFT"
    acts: tuple[Act, ...] = ()
    expect: Expect = field(default_factory=Expect)


def load(file: Path) -> Scenario:
    """Raises UnavailableError when it cannot be read, InvalidError with every mistake and its line."""
    try:
        content = file.read_text()
    except OSError as cause:
        raise UnavailableError(f"the scenario {file} cannot be read") from cause
    return parse(content, file=str(file))


def parse(content: str, *, file: str) -> Scenario:
    reader = Reader(file)
    root = reader.root(content)
    made = _scenario(reader, root) if root is not None else None
    reader.finish()
    assert made is not None
    return made


def _scenario(reader: Reader, root: Node) -> Scenario:
    known = ("name", "what", "path", "is_long", "world", "start", "do", "expect")
    found = reader.fields(root, known, required=("name", "path", "do"))
    acts = []
    for each in reader.entries(found["do"]) if "do" in found else []:
        for key, value in reader.fields(each, ACTS).items():
            acts.append(Act(key, _plain(reader, value)))
    return Scenario(
        name=reader.text(found["name"]) if "name" in found else "",
        what=reader.text(found["what"]) if "what" in found else "",
        path=reader.choice(found["path"], {"right": "right", "wrong": "wrong"}, "right")
        if "path" in found
        else "right",
        is_long=reader.flag(found["is_long"]) if "is_long" in found else False,
        world=_typed(reader, found.get("world"), Knobs),
        start=reader.choice(found["start"], {"DRAFT": "DRAFT", "CLEANED": "CLEANED"}, "DRAFT")
        if "start" in found
        else "DRAFT",
        acts=tuple(acts),
        expect=_typed(reader, found.get("expect"), Expect),
    )


def _typed(reader: Reader, node: Node | None, kind: type[Any]) -> Any:
    """A flat struct from a mapping of the same names."""
    if node is None:
        return kind()
    fields = {each.name: each for each in dataclasses.fields(kind)}
    values = {}
    for name, value in reader.fields(node, fields).items():
        plain = _plain(reader, value)
        default = fields[name].default
        wanted: tuple[type, ...] = (type(default),) if default is not None else (int, float)
        if isinstance(default, float):
            wanted = (int, float)
        if isinstance(plain, list):
            plain = tuple(plain)
        if not isinstance(plain, wanted) or (isinstance(plain, bool) and bool not in wanted):
            reader.wrong(value, f"{plain!r} is not of the kind that {name} has, such as {default!r}")
            continue
        values[name] = plain
    return kind(**values)


def _plain(reader: Reader, node: Node) -> Any:
    """The value as Python has it."""
    import yaml

    try:
        return yaml.SafeLoader("").construct_object(node.raw, deep=True)
    except (yaml.YAMLError, ValueError) as cause:
        raise InvalidError(f"{reader.file}:{node.line}: this value cannot be read") from cause
