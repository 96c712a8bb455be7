"""What people know that no registry says: whether what we send leaves through each neighbour. A file of evidence.

```yaml
outbound:
  t1: { confirmed: "their NOC, 14:02" }
  t2:
    ipv4: { sent: 25, answered: 25 }
    ipv6: { sent: 25, answered: 24 }
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from havre.base.errors import UnavailableError
from havre.network.marks import Node, Reader, nearest
from havre.network.model import FAMILIES, Family, Intent
from havre.network.preflight.model import Probe

Outbound = Mapping[tuple[str, Family], Probe]


def load(file: Path, intent: Intent) -> Outbound:
    """Raises UnavailableError when it cannot be read, InvalidError with every mistake and its line."""
    try:
        content = file.read_text()
    except (OSError, UnicodeDecodeError) as cause:
        raise UnavailableError(f"the evidence {file} cannot be read", file=str(file)) from cause
    return parse(content, intent, file=str(file))


def parse(content: str, intent: Intent, *, file: str = "evidence.yaml") -> Outbound:
    """By upstream and family. Raises InvalidError."""
    reader = Reader(file)
    root = reader.root(content)
    found: dict[tuple[str, Family], Probe] = {}
    if root is not None:
        said = reader.fields(root, ("outbound",), required=("outbound",))
        for key, value in reader.items(said["outbound"]) if "outbound" in said else []:
            names = sorted(each.name for each in intent.upstreams)
            if key.text not in names:
                reader.wrong(key, f"there is no upstream {key.text!r}{nearest(key.text, names)}")
                continue
            found |= {(key.text, family): probe for family, probe in _upstream(reader, value).items()}
    reader.finish()
    return found


def _upstream(reader: Reader, node: Node) -> dict[Family, Probe]:
    said = reader.fields(node, ("confirmed", "ipv4", "ipv6"))
    if "confirmed" in said:
        words = reader.text(said["confirmed"])
        return {family: Probe(0, 0, words) for family in FAMILIES}
    return {family: _probe(reader, said[f"ipv{family}"]) for family in FAMILIES if f"ipv{family}" in said}


def _probe(reader: Reader, node: Node) -> Probe:
    said = reader.fields(node, ("sent", "answered"), required=("sent", "answered"))
    sent = reader.number(said["sent"], low=1, high=10**6) if "sent" in said else 1
    answered = reader.number(said["answered"], low=0, high=sent) if "answered" in said else 0
    return Probe(sent, answered)
