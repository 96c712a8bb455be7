"""The prober: counts packets both ways, in both families, from inside a namespace. A program of its own.

`prober.py stream DIR NAME IN OUT LOCAL4 REMOTE4 LOCAL6 REMOTE6` sends a numbered packet every 2 ms in each family and
writes when each was sent and received into mapped files, which others read as it goes: `<OUT>-<family>.sent` and
`<IN>-<family>.recv`, 8 bytes for each number, nanoseconds of the monotonic clock, the first being how many there are.
New ones take the place of old ones as a whole. When they are full it ends, and both ends are started anew.
`prober.py echo …` inside the same program answers what `prober.py bound MARK SOURCE TARGET COUNT` sends through one
neighbour alone. Standard library only; nothing of ours is imported.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import struct
import sys
import time

PORT, ECHO_PORT = 7001, 7002
INTERVAL_NS = 2_000_000
CAPACITY = 600_000  # twenty minutes
SO_MARK = 36


def mapped(path: str) -> memoryview:
    with open(f"{path}.new", "w+b") as file:
        file.truncate(8 * CAPACITY)
        os.rename(f"{path}.new", path)  # who reads the old one goes on with it
        return memoryview(mmap.mmap(file.fileno(), 8 * CAPACITY)).cast("Q")


def bound_socket(address: str, port: int, mark: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    if mark:
        made.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((address, port))
    made.setblocking(False)
    return made


def stream(folder: str, name: str, incoming: str, outgoing: str, ends: list[str]) -> None:
    sockets, echoes = {}, []
    for family, (local, remote) in ((4, ends[0:2]), (6, ends[2:4])):
        sent = mapped(f"{folder}/{outgoing}-{family}.sent")
        received = mapped(f"{folder}/{incoming}-{family}.recv")
        sockets[bound_socket(local, PORT)] = ((remote, PORT), sent, received)
        echoes.append(bound_socket(local, ECHO_PORT))
    poll = select.poll()
    by_number = {each.fileno(): each for each in (*sockets, *echoes)}
    for number in by_number:
        poll.register(number, select.POLLIN)
    with open(f"{folder}/{name}.started", "w") as file:
        file.write(str(os.getpid()))
    number, due = 0, time.monotonic_ns()
    while number < CAPACITY - 2:
        now = time.monotonic_ns()
        is_sending = not os.path.exists(f"{folder}/stop") if number % 50 == 0 else True
        while is_sending and now >= due and number < CAPACITY - 2:
            number += 1
            due = max(due + INTERVAL_NS, now - 20 * INTERVAL_NS)
            for each, (target, sent, _) in sockets.items():
                sent[number], sent[0] = time.monotonic_ns(), number
                try:
                    each.sendto(struct.pack("!I", number), target)
                except OSError:
                    pass  # no route, or refused: lost, and counted as such
        if not is_sending:
            due = now + INTERVAL_NS
        for ready, _ in poll.poll(max(0, (due - time.monotonic_ns()) / 1e6)):
            receive(by_number[ready], sockets)


def receive(ready: socket.socket, sockets: dict[socket.socket, tuple[tuple[str, int], memoryview, memoryview]]) -> None:
    for _ in range(64):
        try:
            packet, sender = ready.recvfrom(64)
        except OSError:
            return
        if ready not in sockets:
            try:
                ready.sendto(packet, sender[:2])
            except OSError:
                pass
            continue
        received = sockets[ready][2]
        number = struct.unpack("!I", packet[:4])[0]
        if number < CAPACITY:
            received[number] = time.monotonic_ns()
            received[0] = max(received[0], number)


def bound(mark: int, source: str, target: str, count: int, limit_s: float = 1.0) -> None:
    """Packets that leave with `mark`; prints how many were sent and how many answers came."""
    made = bound_socket(source, 0, mark)
    poll = select.poll()
    poll.register(made.fileno(), select.POLLIN)
    answers: set[bytes] = set()
    sent, began = 0, time.monotonic()
    while time.monotonic() - began < count * 0.004 + limit_s and len(answers) < count:
        if sent < count and time.monotonic() - began >= sent * 0.004:
            sent += 1
            try:
                made.sendto(struct.pack("!I", sent), (target, ECHO_PORT))
            except OSError:
                pass
        for _ in poll.poll(2):
            try:
                answers.add(made.recv(64))
            except OSError:
                pass
    print(json.dumps({"sent": sent, "answered": len(answers)}))


if __name__ == "__main__":
    if sys.argv[1] == "stream":
        stream(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5], sys.argv[6:10])
    else:
        bound(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
