"""BIRD 2, driven over its control socket. Manual page: README.md.

One request at a time on one connection. A reply is lines with four digits: 0xxx and 1xxx are said, 8xxx and 9xxx are
errors; the last line has a blank after its digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import anyio
import anyio.abc

from havre.base.errors import InvalidError, UnavailableError

LIMIT_S = 15.0  # a daemon that loads a full view answers nobody for seconds
PROGRAMS = ("bird", "/usr/sbin/bird")
_END = re.compile(rb"^\d{4} [^\n]*\n", re.M)
_SESSION = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+(?: \S+)?)\s*(.*)")
_ROUTE = re.compile(r"(\S*)\s+(unicast|unreachable|blackhole|prohibited|)\s*\[(\S+) [^\]]*\]( \*)?")


@dataclass(frozen=True, slots=True)
class Session:
    """A protocol instance. `info`: what BGP says of itself, `Established` when all is well; imported and exported:
    routes."""

    name: str
    kind: str
    state: str
    info: str
    imported: int = 0
    exported: int = 0
    filtered: int = 0
    neighbor: str = ""
    neighbor_asn: int = 0
    local_asn: int = 0
    source: str = ""
    hold_s: int = 0
    error: str = ""

    @property
    def is_established(self) -> bool:
        return self.info.startswith("Established")


@dataclass(frozen=True, slots=True)
class Route:
    """A route to a prefix. path: the numbers, the neighbour's first; empty for a route that is not of BGP."""

    prefix: str
    session: str
    is_best: bool
    path: tuple[int, ...] = ()
    preference: int = 0
    next_hop: str = ""
    large_communities: tuple[str, ...] = ()

    @property
    def origin(self) -> int | None:
        return self.path[-1] if self.path else None


@dataclass
class Bird:
    """A running daemon. Use `async with`, or call: each call connects when there is no connection."""

    socket: Path
    limit_s: float = LIMIT_S
    _stream: anyio.abc.SocketStream | None = field(default=None, repr=False)
    _lock: anyio.Lock = field(default_factory=anyio.Lock, repr=False)

    async def __aenter__(self) -> Bird:
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.aclose()

    async def ask(self, command: str) -> str:
        """What the daemon says, without the digits. Raises InvalidError for what it refuses, UnavailableError when it
        does not answer within `limit_s`."""
        async with self._lock:
            try:
                with anyio.fail_after(self.limit_s):
                    if self._stream is None:
                        self._stream = await anyio.connect_unix(self.socket)
                        await self._reply()
                    await self._stream.send(command.encode() + b"\n")
                    said = await self._reply()
            except (
                OSError,
                TimeoutError,
                anyio.EndOfStream,
                anyio.BrokenResourceError,
                anyio.ClosedResourceError,
            ) as cause:
                await self._drop()
                raise UnavailableError(f"BIRD does not answer at {self.socket}", program="bird") from cause
            except BaseException:
                await self._drop()  # half a reply must not be taken for the next one's
                raise
        return _text(said)

    async def _drop(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def _reply(self) -> bytes:
        assert self._stream is not None
        said = b""
        while not _ended(said):
            said += await self._stream.receive(1 << 16)
        return said

    # words

    async def version(self) -> str:
        return next((each.removeprefix("BIRD ") for each in (await self.ask("show status")).splitlines()), "")

    async def configure(self, file: Path | None = None) -> str:
        """Take the configuration file as it is now, or `file`. Returns what the daemon says; it answers before the
        change has had its effect. Raises InvalidError, and nothing has changed, when the file is wrong."""
        return await self.ask("configure" if file is None else f'configure "{file}"')

    async def undo(self) -> str:
        """Back to the configuration before the last."""
        return await self.ask("configure undo")

    async def router_id(self) -> str:
        said = await self.ask("show status")
        matched = re.search(r"Router ID is (\S+)", said)
        return matched[1] if matched else ""

    async def exported(self, session: str) -> tuple[str, ...]:
        """The prefixes that a session tells its neighbour."""
        said = await self.ask(f"show route export {session}")
        return tuple(dict.fromkeys(each.prefix for each in read_routes(said)))

    async def disable(self, name: str) -> None:
        await self.ask(f'disable "{name}"')

    async def enable(self, name: str) -> None:
        await self.ask(f'enable "{name}"')

    async def restart(self, name: str) -> None:
        await self.ask(f'restart "{name}"')

    async def sessions(self) -> Mapping[str, Session]:
        """Every protocol instance by its name."""
        return read_sessions(await self.ask("show protocols all"))

    async def bfd(self) -> Mapping[str, str]:
        """The state of each BFD session by its neighbour's address; empty where BFD is not configured."""
        try:
            said = await self.ask("show bfd sessions")
        except InvalidError:  # there is no instance of it
            return {}
        found = (line.split() for line in said.splitlines())
        return {each[0]: each[2] for each in found if len(each) >= 4 and ("." in each[0] or ":" in each[0][:-1])}

    async def routes(self, prefix: str, *, options: str = "") -> tuple[Route, ...]:
        """The routes to exactly `prefix`, the best first; empty when there is none. options: such as `filtered`."""
        try:
            return read_routes(await self.ask(f"show route {prefix} {options} all"))
        except InvalidError as error:
            if "not found" in error.message:
                return ()
            raise


async def check(file: Path) -> None:
    """Have the daemon's own parser read `file`, without running it. Raises InvalidError with the place and its words,
    UnavailableError when BIRD is not installed."""
    for program in PROGRAMS:
        try:
            with anyio.fail_after(60):
                done = await anyio.run_process([program, "-p", "-c", str(file)], check=False)
        except FileNotFoundError:
            continue
        if done.returncode != 0:
            words = (done.stderr or done.stdout).decode(errors="replace").strip().removeprefix("bird: ")
            raise InvalidError(f"BIRD refuses the configuration: {words}", program="bird", file=str(file))
        return
    raise UnavailableError("BIRD is not installed (apt install bird2)", program="bird")


def read_sessions(said: str) -> dict[str, Session]:
    """The answer to `show protocols all`."""
    found: dict[str, Session] = {}
    name, facts = "", dict[str, str]()

    def keep() -> None:
        if name and name in found:
            found[name] = _with(found[name], facts)

    for line in said.splitlines():
        if line.startswith((" ", "\t")) or not line:
            key, _, value = line.strip().partition(":")
            facts.setdefault(key.strip(), value.strip())
            continue
        keep()
        matched = _SESSION.fullmatch(line.rstrip())
        name, facts = "", {}
        if matched and matched[1] != "Name":
            name = matched[1]
            found[name] = Session(name, kind=matched[2], state=matched[4], info=matched[6])
    keep()
    return found


def read_routes(said: str) -> tuple[Route, ...]:
    """The answer to `show route … all`."""
    found: list[dict[str, object]] = []
    prefix = ""
    for line in said.splitlines():
        matched = _ROUTE.match(line) if not line.startswith("\t") else None
        if matched:
            prefix = matched[1] or prefix
            found.append({"prefix": prefix, "session": matched[3], "is_best": bool(matched[4])})
        elif found:
            key, _, value = line.strip().partition(":")
            if key == "BGP.as_path":
                found[-1]["path"] = tuple(int(each) for each in value.split() if each.isdecimal())
            elif key == "BGP.local_pref":
                found[-1]["preference"] = int(value)
            elif key == "BGP.large_community":
                found[-1]["large_communities"] = tuple(re.findall(r"\((\d+, \d+, \d+)\)", value))
            elif key.startswith("via ") and "next_hop" not in found[-1]:
                found[-1]["next_hop"] = line.split()[1]
    routes = tuple(Route(**each) for each in found)  # type: ignore[arg-type]
    return tuple(sorted(routes, key=lambda each: not each.is_best))


def _with(session: Session, facts: Mapping[str, str]) -> Session:
    found = re.findall(r"(\d+) (imported|exported|filtered)", facts.get("Routes", ""))
    by_word = {word: int(number) for number, word in found}
    held = re.match(r"[\d.]+/(\d+)", facts.get("Hold timer", ""))
    return Session(
        session.name,
        session.kind,
        session.state,
        session.info,
        imported=by_word.get("imported", 0),
        exported=by_word.get("exported", 0),
        filtered=by_word.get("filtered", 0),
        neighbor=facts.get("Neighbor address", ""),
        neighbor_asn=_number(facts, "Neighbor AS"),
        local_asn=_number(facts, "Local AS"),
        source=facts.get("Source address", ""),
        hold_s=int(held[1]) if held else 0,
        error=facts.get("Last error", ""),
    )


def _number(facts: Mapping[str, str], name: str) -> int:
    value = facts.get(name, "")
    return int(value) if value.isdecimal() else 0


def _ended(said: bytes) -> bool:
    """Whether the last line is a final one."""
    if not said.endswith(b"\n"):
        return False
    last = said[said.rfind(b"\n", 0, -1) + 1 :]
    return _END.fullmatch(last) is not None


def _text(said: bytes) -> str:
    lines, code = [], ""
    for line in said.decode(errors="replace").splitlines():
        if re.match(r"\d{4}[ -]", line):
            code, line = line[:4], line[5:]
            if code.startswith(("8", "9")):
                raise InvalidError(f"BIRD refuses: {line}", program="bird", code=code)
            if code in ("0000", "0001") and not line:
                continue
        elif line.startswith(" "):
            line = line[1:]
        lines.append(line)
    return "\n".join(lines)
