"""A generated configuration, cut into what belongs to one session each, whichever engine it is for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_PART = re.compile(r"^(protocol bgp|filter|define) (\w+)(?: = \[\n| \{\n)(.*?)^[}\]];?\n", re.M | re.S)
_CHANNEL = re.compile(r"^  ipv[46] \{\n.*?^  \};\n", re.M | re.S)
_KEPT = re.compile(r"^\s*(import keep filtered|import table).*$", re.M)
_NEIGHBOR = re.compile(r"^( {1,2})neighbor (\S+) (.*)\n", re.M)
_MAP = re.compile(r"^route-map ((?:in|out)_\w+|(?:IN|OUT)_INSIDE_[46]) (?:permit|deny) \d+\n(?:^ .*\n)*^exit\n", re.M)
_FROM = re.compile(r"^ipv?6? prefix-list FROM_(\w+)_([46]) .*\n", re.M)


@dataclass(frozen=True, slots=True)
class Parts:
    """identities: of each session what it starts again for; rest: what it takes and tells, which it does not."""

    router_id: str
    identities: Mapping[str, str]
    rest: Mapping[str, str]


def is_frr(text: str) -> bool:
    return "\nfrr defaults " in text[:400]


@lru_cache(maxsize=32)
def parts(text: str) -> Parts:
    """What is in a configuration; empty for one that is not of our making."""
    return _frr(text) if is_frr(text) else _bird(text)


def with_session(text: str, session: str, other: str) -> str:
    """`text` with the identity of one session as it is in `other`."""
    return (_frr_with if is_frr(text) else _bird_with)(text, session, other)


def _bird(text: str) -> Parts:
    blocks, policies = {}, {}
    for matched in _PART.finditer(text):
        if matched[1] == "protocol bgp":
            blocks[matched[2]] = matched[3]
        else:
            policies[f"{matched[1]} {matched[2]}"] = matched[3]
    rest = {}
    for name, block in blocks.items():
        of = name.removeprefix("up_")
        keys = (f"filter in_{of}", f"filter out_{of}", f"define FROM_{of.upper()}")
        rest[name] = block + "".join(policies.get(each, "") for each in keys)
    found = re.search(r"^router id (\S+);", text, re.M)
    return Parts(found[1] if found else "", {name: _identity(block) for name, block in blocks.items()}, rest)


def _identity(block: str) -> str:
    """All but what its channel takes and tells. A kept table starts the channel again."""
    kept = "".join(each.group(0) for channel in _CHANNEL.finditer(block) for each in _KEPT.finditer(channel.group(0)))
    described = re.sub(r"^  description .*\n", "", block, flags=re.M)
    return _CHANNEL.sub("", described) + kept


def _bird_with(text: str, session: str, other: str) -> str:
    pattern = re.compile(rf"^(protocol bgp {re.escape(session)} \{{\n)(.*?)^\}}\n", re.M | re.S)
    block = pattern.search(other)
    assert block is not None
    return pattern.sub(lambda found: f"{found[1]}{block[2]}}}\n", text)


def _frr(text: str) -> Parts:
    names = {address: rest for _, address, rest in _NEIGHBOR.findall(text) if rest.startswith("description ")}
    names = {address: rest.removeprefix("description ") for address, rest in names.items()}
    identities, rest = dict.fromkeys(names.values(), ""), dict.fromkeys(names.values(), "")
    for indent, address, line in _NEIGHBOR.findall(text):
        if address in names:
            (identities if len(indent) == 1 else rest)[names[address]] += f"{line}\n"
    for matched in _MAP.finditer(text):
        session = matched[1].replace("in_", "up_", 1).replace("out_", "up_", 1)
        for name in rest:
            if name == session:
                rest[name] += matched[0]
    for matched in _FROM.finditer(text):
        name = f"up_{matched[1].lower()}_ipv{matched[2]}"
        if name in rest:
            rest[name] += matched[0]
    found = re.search(r"^ bgp router-id (\S+)", text, re.M)
    return Parts(found[1] if found else "", identities, rest)


def _frr_with(text: str, session: str, other: str) -> str:
    """The neighbour's lines outside the address families are taken over; profiles of BFD start no session again."""
    lines = _frr_lines(other, session)
    ours = _frr_lines(text, session)
    at = text.index(ours[0])
    for line in ours:
        text = text.replace(line, "", 1)
    return text[:at] + "".join(lines) + text[at:]


def _frr_lines(text: str, session: str) -> list[str]:
    found = re.search(rf"^ neighbor (\S+) description {re.escape(session)}\n", text, re.M)
    assert found is not None
    return re.findall(rf"^ neighbor {re.escape(found[1])} .*\n", text, re.M)
