"""git's answer to a push, with our reason in the place of its own word for a refusal.

A client shows the reason of a refused branch from the report (gitprotocol-pack(5), "Reporting Status"), and not every
client shows what hooks print beside it. git says there no more than "pre-receive hook declined" or "unpacker error".
"""

from __future__ import annotations

from collections.abc import Callable

REASON_LIMIT = 500
TOO_LARGE = b"exceeds maximum allowed size"
_DATA, _SAID = 1, 2  # the bands of side-band-64k
_OURS = (b"pre-receive hook declined", b"unpacker error")


class Report:
    """Takes the answer as it comes and gives what the client is to see; only the report itself is held until it is
    whole. `reason` is asked for then: "" leaves the report as it is. It is told whether the push was too large."""

    def __init__(self, reason: Callable[[bool], str]) -> None:
        self._reason = reason
        self._rest = b""
        self._report = b""
        self._said = b""
        self._plain = False

    def feed(self, part: bytes) -> bytes:
        """What is ready of the answer after `part`."""
        if self._plain:
            return part
        self._rest += part
        ready = b""
        while len(self._rest) >= 4:
            size = _size(self._rest[:4])
            if size is None or (size > 4 and self._rest[4:5] > b"\3"):  # no bands: a client that cannot show a reason
                self._plain = True
                return ready + self.end()
            length = max(size, 4)
            if len(self._rest) < length:
                break
            packet, self._rest = self._rest[:length], self._rest[length:]
            ready += self._take(packet)
        return ready

    def end(self) -> bytes:
        """What is left when the answer has ended."""
        rest, self._rest = self._rest, b""
        return self._told() + rest

    def _take(self, packet: bytes) -> bytes:
        if len(packet) > 5 and packet[4] == _DATA:
            self._report += packet[5:]
            return b""
        if len(packet) > 5 and packet[4] == _SAID:
            self._said = (self._said + packet[5:])[-1000:]
            return packet
        return self._told() + packet if packet[:4] == b"0000" else packet

    def _told(self) -> bytes:
        """The report that was held, as packets of its band."""
        if not self._report:
            return b""
        report, self._report = _with_reason(self._report, self._reason(TOO_LARGE in self._said)), b""
        pieces = [report[at : at + 65515] for at in range(0, len(report), 65515)]
        return b"".join(b"%04x\1%s" % (len(piece) + 5, piece) for piece in pieces)


def _size(head: bytes) -> int | None:
    try:
        return int(head, 16)
    except ValueError:
        return None


def _with_reason(report: bytes, reason: str) -> bytes:
    words = " ".join(reason.split()).encode()[:REASON_LIMIT]
    if not words:
        return report
    lines, rest = [], report
    while len(rest) >= 4:
        size = max(_size(rest[:4]) or 0, 4)
        line, rest = rest[4:size], rest[size:]
        if line.startswith(b"ng ") and line.rstrip(b"\n").endswith(_OURS):
            line = b"ng %s %s\n" % (line.split(b" ", 2)[1], words)
        lines.append(b"%04x%s" % (len(line) + 4, line) if line else b"0000")
    return b"".join(lines) + rest
