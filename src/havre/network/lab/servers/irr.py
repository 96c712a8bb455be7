"""A routing registry that answers as IRRd and as RIPE's whois do: `python -m havre.network.lab.servers.irr`.

    python -m havre.network.lab.servers.irr --listen 127.0.0.1:4343 FILE-OR-FOLDER ...

Prints one line of JSON (`{"listening": ["127.0.0.1", 4343]}`) once it can be asked; port 0 takes a free one. bgpq4,
whois and our own driver speak with it. It answers as IRRd 4.5 was seen to: a set without members is not found, `-x`
stands before its prefix, an unknown flag is an error. The files are read again when they change. `--delay-ms` makes
each answer late, `--refuse-after N` closes each connection after N answers: what a bad day of a registry looks like.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from havre.base.errors import InvalidError
from havre.drivers.irr import rpsl
from havre.kernel.clock import SystemClock
from havre.network.lab.servers.register import ROUTES, Files, Network, Register, allowed

IDLE_S = 60.0
MOST_LINE_BYTES = 8192
OK, MISSING = b"C\n", b"D\n"
HOW = {"x": "exact", "L": "less", "M": "more", "l": "less", "m": "more"}
NOTHING = "%ERROR:101: no entries found\n%\n% No entries found in the selected source(s).\n"


@dataclass
class Talk:
    """What one connection has agreed on."""

    persistent: bool = False
    sources: list[str] = field(default_factory=list)
    over: bool = False


def answer(register: Register, talk: Talk, line: str) -> bytes:
    """The answer to one line; never raises for what a client says."""
    try:
        if line.startswith("!"):
            return _irrd(register, talk, line[1:])
        return _whois(register, talk, line)
    except (ValueError, InvalidError) as error:
        text = error.message if isinstance(error, InvalidError) else str(error)
        return f"F {text}\n".encode() if line.startswith("!") else f"%% ERROR: {text}\n\n\n".encode()


def _irrd(register: Register, talk: Talk, line: str) -> bytes:
    command, rest = line[:1].lower(), line[1:].strip()
    if command == "!":
        talk.persistent = True
        return b""
    if command in ("q", ""):
        talk.over = True
        return b""
    known: dict[str, Callable[[Register, Talk, str], bytes]] = {
        "a": _prefixes_of_set,
        "g": partial(_prefixes_of_origin, family=4),
        "6": partial(_prefixes_of_origin, family=6),
        "i": _members,
        "j": _serials,
        "m": _object,
        "n": lambda *_: OK,
        "o": _maintained,
        "r": _routes_at,
        "s": _choose_sources,
        "t": lambda *_: OK,
        "v": lambda *_: _data("havre-lab 1"),
    }
    if command not in known:
        return b"F Unrecognised command: " + command.encode() + b"\n"
    return known[command](register, talk, rest)


def _prefixes_of_set(register: Register, talk: Talk, rest: str) -> bytes:
    families = [4, 6]
    if rest[:1] in ("4", "6"):
        families, rest = [int(rest[0])], rest[1:]
    if not rest:
        return b"F Missing required set name for A query\n"
    origins = register.resolved(rest, sources=talk.sources)
    if origins is None:
        return MISSING
    found = dict.fromkeys(prefix for f in families for origin in origins for prefix in _of(register, talk, origin, f))
    return _data(" ".join(found)) if found else MISSING


def _prefixes_of_origin(register: Register, talk: Talk, rest: str, *, family: int) -> bytes:
    if not (rest[:2].upper() == "AS" and rest[2:].isdigit()):
        return f"F Invalid AS number {rest}\n".encode()
    found = _of(register, talk, rest, family)
    return _data(" ".join(found)) if found else MISSING


def _of(register: Register, talk: Talk, origin: str, family: int) -> list[str]:
    return register.routes(origin, family, sources=talk.sources)


def _members(register: Register, talk: Talk, rest: str) -> bytes:
    name, _, recursive = rest.partition(",")
    ask = register.resolved if recursive.strip() == "1" else register.members
    found = ask(name.strip(), sources=talk.sources)
    return _data(" ".join(found)) if found else MISSING


def _serials(register: Register, talk: Talk, rest: str) -> bytes:
    return _data("\n".join(f"{source}:N:0-0" for source in register.sources))


def _object(register: Register, talk: Talk, rest: str) -> bytes:
    kind, _, key = rest.partition(",")
    found = register.get(kind.strip().lower(), key.strip(), sources=talk.sources)
    return _data(rpsl.written(found).rstrip()) if found else MISSING


def _maintained(register: Register, talk: Talk, rest: str) -> bytes:
    found = register.by_reference.get(("mnt-by", rest.upper()), [])
    return _data("\n\n".join(rpsl.written(each).rstrip() for each in found)) if found else MISSING


def _routes_at(register: Register, talk: Talk, rest: str) -> bytes:
    text, _, option = rest.partition(",")
    how = {"l": "less", "L": "less", "M": "more"}.get(option.strip(), "exact")
    found = register.at(ipaddress.ip_network(text.strip()), sources=talk.sources, how=how)
    if not found:
        return MISSING
    if option.strip() == "o":
        return _data(" ".join(dict.fromkeys(each.first("origin").upper() for each in found)))
    return _data("\n\n".join(rpsl.written(each).rstrip() for each in found))


def _choose_sources(register: Register, talk: Talk, rest: str) -> bytes:
    if rest == "-lc":
        return _data(",".join(talk.sources or register.sources))
    wanted = [each.strip().upper() for each in rest.split(",") if each.strip()]
    unknown = [each for each in wanted if each not in register.sources]
    if unknown or not wanted:
        return f"F One or more selected sources are unavailable: {', '.join(unknown)}\n".encode()
    talk.sources = wanted
    return OK


def _data(text: str) -> bytes:
    """IRRd's frame: the length counts the newline at the end of the data; no data at all is `C` alone."""
    if not text:
        return OK
    data = text.encode() + b"\n"
    return b"A%d\n%sC\n" % (len(data), data)


@dataclass
class Asked:
    """A line of RIPE's whois, taken apart."""

    kinds: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    inverse: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    how: str = "default"
    keeps: bool = False
    about: str = ""


def _whois(register: Register, talk: Talk, line: str) -> bytes:
    asked = _asked(line)
    if asked.keeps:
        talk.over, talk.persistent = talk.persistent and not asked.words, not talk.persistent
        if not asked.words:
            return b""
    if asked.about:
        return f"% {' '.join(register.sources) if asked.about == 'sources' else 'havre-lab 1'}\n\n".encode()
    if not asked.words:
        return NOTHING.encode() + b"\n\n"
    key = asked.words[0]
    if asked.inverse:
        found = [each for name in asked.inverse for each in register.by_reference.get((name, key.upper()), [])]
    else:
        found = _by_key(register, key, asked.how)
    found = [each for each in allowed(found, asked.sources) if not asked.kinds or each.kind in asked.kinds]
    text = "\n".join(rpsl.written(each) for each in found) or NOTHING
    return f"% This is the registry of a laboratory.\n\n{text}\n\n".encode()


def _asked(line: str) -> Asked:
    asked, left = Asked(), line.split()
    while left:
        word = left.pop(0)
        if not word.startswith("-") or len(word) < 2:
            asked.words.append(word)
            continue
        for at, flag in enumerate(word[1:], start=2):
            if flag in "TsiVq":
                _set(asked, flag, word[at:] or (left.pop(0) if left else ""))
                break
            if flag in HOW:
                asked.how = HOW[flag]
                asked.words.append(str(ipaddress.ip_network(left.pop(0) if left else "")))
            elif flag == "k":
                asked.keeps = True
            elif flag not in "rFV":
                raise ValueError(f"Unrecognised flag/search: {flag}")
    return asked


def _set(asked: Asked, flag: str, value: str) -> None:
    if flag == "T":
        asked.kinds = value.lower().split(",")
    elif flag == "s":
        asked.sources = value.split(",")
    elif flag == "i":
        asked.inverse = value.lower().split(",")
    elif flag == "q":
        asked.about = value


def _by_key(register: Register, key: str, how: str) -> list[rpsl.RpslObject]:
    try:
        prefix: Network = ipaddress.ip_network(key, strict=False)
    except ValueError:
        kinds = {kind for kind, _ in register.found if kind not in ROUTES.values()}
        return [each for kind in sorted(kinds) for each in register.found.get((kind, key.upper()), [])]
    if how == "default":
        return register.at(prefix) or register.at(prefix, how="less")[:1]
    return register.at(prefix, how=how)


@dataclass
class Behaviour:
    """How the server serves: `delay_s` before each answer; a connection ends after so many answers (0: never)."""

    delay_s: float = 0.0
    refuse_after: int = 0


async def serve(stream: SocketStream, *, files: Files, behaviour: Behaviour) -> None:
    """Answer one connection until it ends, says nothing for a minute, or talks nonsense."""
    talk, answered = Talk(), 0
    async with stream:
        received = BufferedByteReceiveStream(stream)
        while not talk.over:
            try:
                with anyio.fail_after(IDLE_S):
                    line = await received.receive_until(b"\n", MOST_LINE_BYTES)
                said = answer(files.read(), talk, line.decode("latin-1").strip())
                if behaviour.delay_s:
                    await SystemClock().sleep(behaviour.delay_s)
                with anyio.fail_after(IDLE_S):
                    await stream.send(said) if said else None
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
                return
            except (TimeoutError, anyio.ClosedResourceError):
                return
            except InvalidError as error:
                print(json.dumps({"unreadable": error.message}), file=sys.stderr, flush=True)
                return
            answered += bool(said)
            if 0 < behaviour.refuse_after <= answered or (said and not talk.persistent):
                return


async def run(host: str, port: int, *, files: Files, behaviour: Behaviour) -> None:
    """Serve until cancelled; say on standard output where."""
    listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    bound = listener.extra(anyio.abc.SocketAttribute.local_address)
    print(json.dumps({"listening": list(bound[:2])}), flush=True)
    await listener.serve(partial(serve, files=files, behaviour=behaviour))


def main() -> None:
    parser = argparse.ArgumentParser(description="a routing registry for the laboratory")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--delay-ms", type=int, default=0)
    parser.add_argument("--refuse-after", type=int, default=0)
    parser.add_argument("paths", nargs="+", type=Path)
    asked = parser.parse_args()
    host, _, port = asked.listen.rpartition(":")
    behaviour = Behaviour(asked.delay_ms / 1000, asked.refuse_after)
    files = Files(asked.paths)
    files.read()
    anyio.run(partial(run, host.strip("[]"), int(port), files=files, behaviour=behaviour))


if __name__ == "__main__":
    main()
