"""Builds the lab: namespaces, wires, addresses, daemons, probers; and takes all of it away again, whatever happened.

Everything has a name with our pid in it and every program ends with us, so that not even `kill -9` leaves packets
running; what names are left the next lab removes. No address outside the namespaces is ever reached: they have no link
to this machine's network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path

import yaml

from havre.base.errors import InvalidError, UnavailableError
from havre.drivers import netns
from havre.drivers.bird import Bird
from havre.kernel.clock import Clock
from havre.network import engines
from havre.network import intent as intents
from havre.network.act import phase_text
from havre.network.decide import Posture
from havre.network.engines.bird import probe_table
from havre.network.lab import frr, gobgp, registers
from havre.network.lab.world import REMOTE, Knobs, World, customer, world
from havre.network.model import FAMILIES, Intent
from havre.network.probes import prober, streams

LABEL = "hvlab"
PROGRAMS = {"ip": "iproute2", "setpriv": "util-linux", "sysctl": "procps", "bird": "bird2", "nft": "nftables"}
SYSCTLS = (
    "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.default.accept_ra=0", "net.ipv4.fib_multipath_hash_policy=1", "net.ipv6.route.max_size=1048576",
)  # fmt: skip
AHEAD = ("nice", "-n", "-20")  # what is measured is the routers, not what else this machine does
PROBE = Path(prober.__file__)
START_S = 30.0


def missing() -> list[str]:
    """What this machine lacks for a lab, each with what brings it."""
    lacks = [] if os.geteuid() == 0 else ["root (namespaces and routing daemons need it)"]
    path = f"{os.defpath}:/usr/sbin:/sbin"
    return lacks + [
        f"{name} (apt install {package})" for name, package in PROGRAMS.items() if not shutil.which(name, path=path)
    ]


@dataclass
class Lab:
    """One world that runs. `intent` is the person's, with the sockets and files of this lab's edges."""

    intent: Intent
    knobs: Knobs
    clock: Clock
    folder: Path
    spaces: netns.Namespaces
    made: World
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def prepare(cls, content: str, knobs: Knobs, *, clock: Clock, file: str = "intent.yaml") -> Lab:
        """content: the intent's YAML. Raises UnavailableError, which names everything that this machine lacks."""
        if lacks := missing():
            raise UnavailableError(f"the lab cannot run here; it needs {', '.join(lacks)}")
        given = intents.parse(content, file=file)  # its mistakes are told of the person's own file
        if foreign := [each.name for each in given.edges if each.engine != "bird"]:
            raise InvalidError(f"the lab's own edges run BIRD; {', '.join(foreign)} would run another engine")
        netns.forget_dead(LABEL)
        _forget_folders()
        folder = Path(tempfile.mkdtemp(prefix=f"{LABEL}-{os.getpid()}-", dir="/tmp"))
        folder.chmod(0o711)  # rpki-client reads its cache as a user of its own
        spaces = netns.Namespaces(f"{LABEL}-{os.getpid()}", ahead=AHEAD)
        fitted = _fit(content, knobs, folder, spaces)
        (folder / "intent.yaml").write_text(fitted)
        intent = intents.parse(fitted, file=str(folder / "intent.yaml"))
        installed = [name for name, kind in {"frr": frr, "gobgp": gobgp}.items() if kind.is_there()]
        made = world(intent, knobs, str(folder), installed=installed)
        return cls(intent, knobs, clock, folder, spaces, made, _environment())

    async def __aenter__(self) -> Lab:
        try:
            self._build()
        except BaseException:
            self.remove()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Idempotent."""
        self.spaces.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _build(self) -> None:
        self.spaces.make(self.made.nodes)
        for node in self.made.nodes:
            self.spaces.run(node, "sysctl", "-q", "-w", *SYSCTLS)
            self.spaces.batch(node, ["link set lo up"])
        for bridge in sorted({each.bridge for each in self.made.wires if each.bridge}):
            self.spaces.batch("sw", [f"link add br_{bridge} type bridge", f"link set br_{bridge} up"])
        for wire in self.made.wires:
            self._wire(wire.a, wire.b, wire.bridge)
        for (node, interface), addresses in self.made.addresses.items():
            flags = {4: "", 6: "nodad"}
            self.spaces.batch(
                node, [f"address add {each} dev {interface} {flags[6 if ':' in each else 4]}" for each in addresses]
            )
        self._answer_at_once()
        for node, lines in self.made.routes.items():
            for line in lines:
                family = "-6" if line.startswith("-6 ") else "-4"
                self.spaces.run(node, "ip", family, *line.removeprefix("-6 ").split())
        for edge in self.intent.edges:
            rules = [
                f"rule add fwmark {(n := probe_table(self.intent, each.name))} lookup {n}"
                for each in self.intent.upstreams_of(edge.name)
            ]
            for family in ("-4", "-6"):
                for rule in rules:
                    self.spaces.run(edge.name, "ip", family, *rule.split())

    def _answer_at_once(self) -> None:
        """Have the routers acknowledge each segment at once. BIRD does not set TCP_NODELAY, and with Linux's delayed
        acknowledgements its second message within 40 ms waits for them: the lab would measure that."""
        for (node, interface), addresses in self.made.addresses.items():
            if interface == "lo":
                continue
            for address in addresses:
                net, family = ip_interface(address).network, "-6" if ":" in address else "-4"
                seen = self.spaces.run(
                    node, "ip", family, "route", "show", str(net), "dev", interface, "proto", "kernel"
                )
                line = seen.splitlines()[0].replace(" pref medium", "").split()
                self.spaces.run(
                    node, "ip", family, "route", "change", line[0], "dev", interface, *line[1:], "quickack", "1"
                )

    def _wire(self, a: tuple[str, str], b: tuple[str, str], bridge: str) -> None:
        if b[0] == "sw":  # one port of a bridge
            self._pair(a, b)
            self.spaces.batch("sw", [f"link set {b[1]} master br_{bridge}"])
        elif bridge:  # two ports, and the bridge between them
            for end, letter in ((a, "a"), (b, "b")):
                port = ("sw", f"{letter}_{bridge}")
                self._pair(end, port)
                self.spaces.batch("sw", [f"link set {port[1]} master br_{bridge}"])
        else:
            self._pair(a, b)

    def _pair(self, a: tuple[str, str], b: tuple[str, str]) -> None:
        name = self.spaces.name
        netns.run(
            "ip", "link", "add", a[1], "netns", name(a[0]), "type", "veth", "peer", "name", b[1], "netns", name(b[0])
        )
        for node, interface in (a, b):
            self.spaces.batch(node, [f"link set dev {interface} up"])

    async def start_registries(self) -> None:
        """The registry and the caches; returns when all of them listen."""
        knobs, now = self.knobs, self.clock.now()
        (self.folder / "irr.db").write_text(registers.objects(self.intent, knobs))
        ours = registers.validated(self.intent, self.folder, "vrps", has_new=knobs.roa_has_new_origin, now_ms=now)
        far = registers.validated(self.intent, self.folder, "far", has_new=knobs.far_roa_has_new_origin, now_ms=now)
        cache = self.intent.policies.rtr.rpartition(":")[0]
        logs = registers.start(
            self.spaces, self.folder, self.environment, {f"cust {cache}": ours, "inet 127.0.0.1": far}
        )
        deadline = self.clock.monotonic() + START_S
        while not all(map(registers.is_listening, logs)):
            if self.clock.monotonic() > deadline:
                raise UnavailableError(f"the lab's registries do not come up: {self.words()}")
            await self.clock.sleep(0.05)

    # daemons

    async def start_daemons(self, posture: Posture, *, phase: int) -> None:
        """Every BIRD, our edges in `posture` and the historical provider in its `phase`."""
        (self.folder / "hp-phase.conf").write_text(phase_text(self.intent, phase) if self.intent.historical else "")
        for node, text in self.made.configs.items():
            (self.folder / f"{node}.conf").write_text(text)
        for edge in self.intent.edges:
            text = engines.render(self.intent, edge, posture, {})
            if not self.knobs.kernel_is_graceful:
                text = text.replace("persist; graceful restart;", "persist;")
            if not self.knobs.bfd_is_graceful:
                text = text.replace("; graceful; }", "; }")
            Path(edge.config).write_text(text)
        for node in (*self.made.configs, *(each.name for each in self.intent.edges)):
            self.start_bird(node)

        for node, texts in self.made.frr.items():
            await self._start_frr(node, texts)
        for node, texts in self.made.gobgp.items():
            await self._start_frr(node, texts, daemons=gobgp.BESIDE)
            for name, argv in gobgp.commands(self.folder / f"frr-{node}"):
                log = self.folder / f"{name}-{node}.log"
                self.spaces.start(f"{name} {node}", node, argv, log=log, environment=self.environment)

    async def _start_frr(self, node: str, texts: Mapping[str, str], daemons: Sequence[str] = frr.DAEMONS) -> None:
        place = self.folder / f"frr-{node}"
        place.mkdir()
        for name, text in texts.items():
            (place / f"{name}.conf").write_text(text)
        for each in (place, *place.iterdir()):
            shutil.chown(each, "frr", "frr")
        for name, argv in frr.commands(place, daemons):
            log = self.folder / f"{name}-{node}.log"
            self.spaces.start(f"{name} {node}", node, argv, log=log, environment=self.environment)
            deadline = self.clock.monotonic() + START_S
            while not all((place / each).exists() for each in frr.SOCKETS[name]):  # the next one registers there
                if self.clock.monotonic() > deadline:
                    raise UnavailableError(f"FRR's {name} does not come up: {log.read_text()[-400:]}")
                await self.clock.sleep(0.01)

    def start_bird(self, node: str, *options: str) -> None:
        argv = ["bird", "-f", "-c", f"{self.folder}/{node}.conf", "-s", f"{self.folder}/{node}.ctl", *options]
        self.spaces.start(f"bird {node}", node, argv, log=self.folder / f"{node}.log", environment=self.environment)

    def bird(self, node: str) -> Bird:
        return Bird(self.folder / f"{node}.ctl")

    def start_probes(self) -> None:
        """The two ends: the customer's and the remote client's."""
        ends = {
            "cust": ("in", "out", [each for f in FAMILIES for each in (customer(self.intent, f), REMOTE[f])]),
            "rem": ("out", "in", [each for f in FAMILIES for each in (REMOTE[f], customer(self.intent, f))]),
        }
        for node, (incoming, outgoing, addresses) in ends.items():
            argv = [
                sys.executable,
                "-I",
                "-S",
                str(PROBE),
                "stream",
                str(self.folder),
                node,
                incoming,
                outgoing,
                *addresses,
            ]
            self.spaces.start(
                f"probe {node}", node, argv, log=self.folder / f"probe-{node}.log", environment=self.environment
            )

    async def wait_for_packets(self) -> None:
        """Until packets arrive in both directions and families. Raises UnavailableError, naming the one that lacks."""
        deadline = self.clock.monotonic() + START_S
        lacking: list[str] = ["all"]
        while lacking:
            if self.clock.monotonic() > deadline:
                raise UnavailableError(f"the lab does not come up: no packets {', '.join(lacking)} ({self.words()})")
            await self.clock.sleep(0.05)
            lacking = [each for each in streams.NAMES if not streams.is_flowing(self.folder, each)]

    def words(self) -> str:
        """The end of what the daemons logged, for an error."""
        said = [f"{each.stem}: {each.read_text(errors='replace')[-200:].strip()}" for each in self.folder.glob("*.log")]
        return "; ".join(each for each in said if not each.endswith(":"))[-1500:]

    def namespaces(self) -> Mapping[str, str]:
        return {each.name: self.spaces.name(each.name) for each in self.intent.edges}


def _fit(content: str, knobs: Knobs, folder: Path, spaces: netns.Namespaces) -> str:
    """The intent with the sockets, files and observers of this lab."""
    tree = yaml.safe_load(content)
    for site in tree["sites"].values():
        for name, edge in site["edges"].items():
            edge |= {
                "socket": f"{folder}/{name}.ctl",
                "config": f"{folder}/{name}.conf",
                "namespace": spaces.name(name),
            }
    for name, upstream in tree["upstreams"].items():
        if upstream["kind"] == "historical" and knobs.hp_is_managed:
            upstream |= {"managed_socket": f"{folder}/{name}.ctl", "managed_file": f"{folder}/hp-phase.conf"}
        elif knobs.import_limit:
            upstream["limits"] = {"import_ipv4": knobs.import_limit, "import_ipv6": knobs.import_limit}
    for upstream in tree["upstreams"].values():
        if not knobs.has_bfd:
            upstream.pop("bfd", None)
        if knobs.hold_s:
            upstream["hold_s"] = knobs.hold_s
        if knobs.graceful_s:
            upstream["graceful_restart_s"] = knobs.graceful_s
    historical = [name for name, each in tree["upstreams"].items() if each["kind"] == "historical"]
    glasses = [{"name": "inet", "socket": f"{folder}/inet.ctl"}]
    glasses += [{"name": name, "socket": f"{folder}/{name}.ctl", "at": name} for name in historical]
    first = next(iter(next(iter(tree["sites"].values()))["edges"].values()))
    tree.setdefault("registry", {})["servers"] = {registers.SOURCE: f"irrd://127.0.0.1:{registers.IRR_PORT}"}
    tree.setdefault("policies", {})["rtr"] = f"{first['inside'][0]}:{registers.RTR_PORT}"
    tree["observers"] = {
        "looking_glasses": glasses,
        "streams": str(folder),
        "targets": list(REMOTE.values()),
        "poll_ms": 10,
        "soak_s": knobs.soak_s,
        "samples": 20,
        "wait_s": 20,
    }
    return str(yaml.safe_dump(tree, sort_keys=False))


def _environment() -> dict[str, str]:
    return {"PATH": f"{os.defpath}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}


def _forget_folders() -> None:
    for folder in Path("/tmp").glob(f"{LABEL}-*-*"):
        matched = re.match(rf"{LABEL}-(\d+)-", folder.name)
        if matched and not Path(f"/proc/{matched[1]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def note(lab: Lab, name: str, content: object) -> Path:
    """Leave something for the controller to read."""
    file = lab.folder / name
    file.write_text(json.dumps(content, indent=2))
    return file
