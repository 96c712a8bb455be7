"""A name server on loopback: every host is this machine, and TXT records are what a test says."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class NameServer:
    """`texts`: TXT records by name. `lost`: hosts that lead nowhere. `records`: instead of this machine, (type, value) of
    a host. `silent`: hosts about which nothing is said. `asked`: every question so far."""

    port: int
    texts: dict[str, list[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    records: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes) -> bytes:
        asked = dns.message.from_wire(wire)
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.AA | dns.flags.RA
        question = asked.question[0]
        name = question.name.to_text().rstrip(".").lower()
        self.asked.append(f"{name} {dns.rdatatype.to_text(question.rdtype)}")
        if name in self.silent:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        if name in self.records:
            self._say(reply, question, name)
        elif question.rdtype == dns.rdatatype.A and name not in self.lost:
            reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "A", "127.0.0.1"))
        if question.rdtype == dns.rdatatype.TXT and name in self.texts:
            quoted = [f'"{each}"' for each in self.texts[name]]
            reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "TXT", *quoted))
        return reply.to_wire()

    def _say(self, reply: dns.message.Message, question: dns.rrset.RRset, name: str) -> None:
        """What stands for the host; an alias with what stands for that."""
        kind = dns.rdatatype.to_text(question.rdtype)
        for type_, value in self.records.get(name, []):
            if type_ in (kind, "CNAME"):
                reply.answer.append(dns.rrset.from_text(name + ".", 1, "IN", type_, value))
            if type_ == "CNAME":
                self._say(reply, question, value.rstrip("."))


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Over UDP and TCP, on the same port."""
    made: NameServer

    class Tcp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, struct.error):
                while size := self.request.recv(2):
                    reply = made.answer(self.request.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL))
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)

    class Udp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request[1].sendto(made.answer(self.request[0]), self.client_address)

    class TcpServer(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with TcpServer(("127.0.0.1", 0), Tcp) as tcp, socketserver.UDPServer(tcp.server_address[:2], Udp) as udp:
        made = NameServer(tcp.server_address[1])
        threads = [threading.Thread(target=each.serve_forever, args=(0.05,)) for each in (tcp, udp)]
        for each in threads:
            each.start()
        try:
            yield made
        finally:
            tcp.shutdown()
            udp.shutdown()
            for each in threads:
                each.join()
