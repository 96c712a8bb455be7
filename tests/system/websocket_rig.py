"""An app that answers websockets, without a package; and visitors that hold them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.system.rig import Installation

ECHO_APP = {
    "package.json": json.dumps({"name": "echo", "version": "1.0.0", "scripts": {"start": "node server.js"}}),
    "server.js": """
const http = require("node:http"), { createHash } = require("node:crypto")
const { CC_DEPLOYMENT_ID, CC_COMMIT_ID, APP_ID, INSTANCE_ID } = process.env
const open = new Set()
const frame = (code, payload) => Buffer.concat([Buffer.from([0x80 | code, payload.length]), payload])
const bye = (socket) => { socket.end(frame(8, Buffer.from([3, 233]))); open.delete(socket) }  // 1001: going away
const server = http.createServer((request, response) => {
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify({ app: APP_ID, deployment: CC_DEPLOYMENT_ID, commit: CC_COMMIT_ID, instance: INSTANCE_ID }))
})
server.on("upgrade", (request, socket) => {
  const key = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" +
    "Sec-WebSocket-Accept: " + key.digest("base64") + "\\r\\n\\r\\n")
  open.add(socket)
  let held = Buffer.alloc(0)
  socket.on("error", () => open.delete(socket))
  socket.on("close", () => open.delete(socket))
  socket.on("data", (data) => {
    held = Buffer.concat([held, data])
    while (held.length >= 6 && held.length >= 6 + (held[1] & 127)) {
      const length = held[1] & 127, mask = held.subarray(2, 6), payload = Buffer.from(held.subarray(6, 6 + length))
      for (let at = 0; at < length; at++) payload[at] ^= mask[at % 4]
      const code = held[0] & 15
      held = held.subarray(6 + length)
      if (code === 8) { socket.end(frame(8, payload)); open.delete(socket) } else socket.write(frame(code === 9 ? 10 : 1, payload))
    }
  })
})
server.keepAliveTimeout = 120000
process.on("SIGTERM", () => { for (const each of open) bye(each); server.close(() => process.exit(0)) })
server.listen(8080, "0.0.0.0")
""",
}


@dataclass
class Visitors:
    """Websockets that speak without a pause. Some stay for a moment and leave; one stays until it is sent away.

    cut: those whose end nobody announced. sent_away: how often somebody was told to go (1001) and came again: the one
    that stays at each deployment, another only when the machine is so slow that its moment is longer than a drain.
    """

    installation: Installation
    host: str
    clients: int = 3
    stays_s: float = 1.5
    said: int = 0
    sent_away: int = 0
    cut: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Visitors]:
        threads = [threading.Thread(target=self._visit, args=(number == 0,)) for number in range(self.clients)]
        for each in threads:
            each.start()
        try:
            yield self
        finally:
            self._stop.set()
            for each in threads:
                each.join(timeout=60)

    def _visit(self, stays: bool) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with self._open() as opened:
                    rounds = 0
                    while not self._stop.is_set() and (stays or rounds < self.stays_s / 0.05):
                        rounds, number = rounds + 1, number + 1
                        opened.send(f"{number}")
                        if (heard := opened.recv(timeout=60)) != f"{number}":
                            self.cut.append(f"said {number}, heard {heard!r}")
                        self.said += 1
                        self._stop.wait(0.05)
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code == 1001:
                    self.sent_away += 1
                else:
                    self.cut.append(repr(closed))
            except Exception as error:
                self.cut.append(repr(error))

    def _open(self) -> ClientConnection:
        port = self.installation.https_port
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        uri = f"wss://{self.host}:{port}/"
        return connect(uri, sock=plain, ssl=self.installation.tls(), server_hostname=self.host, compression=None)
