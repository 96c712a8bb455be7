"""The way out for sandboxes without a network of their own: an HTTP proxy on a unix socket.

A program of its own (standard library only, `python -I -S proxy.py SOCKET UID NETWORK`), so that it lives on without
the control plane. It listens and then becomes user UID, if it is root: it reads what tenants send, and needs no
privilege. It speaks CONNECT and plain HTTP requests with an absolute URI (RFC 9110 section 9.3.6, RFC 9112 section
3.2.2) and refuses every address of this machine and of NETWORK, the sandboxes': a tenant must reach neither the host's
services nor another tenant through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import socket
import sys
import time
from urllib.parse import urlsplit

HEAD_LIMIT = 65536
HEAD_S = 30
CONNECT_S = 20
ADDRESSES_KEPT_S = 5


def own_addresses():
    """The addresses of this machine's interfaces, read from the kernel's tables."""
    found = set()
    try:
        with open("/proc/net/fib_trie") as file:
            last = ""
            for line in file:
                text = line.strip()
                if text.startswith("|--"):
                    last = text.split()[1]
                elif "host LOCAL" in text:
                    found.add(ipaddress.ip_address(last))
        with open("/proc/net/if_inet6") as file:
            for line in file:
                found.add(ipaddress.ip_address(bytes.fromhex(line.split()[0])))
    except OSError:
        pass
    return found


def is_allowed(address):
    """Whether a sandbox may talk to `address`: not this machine, not a link-local or multicast one."""
    ip = ipaddress.ip_address(address)
    for within in ("ipv4_mapped", "sixtofour"):
        ip = getattr(ip, within, None) or ip
    if ip in SPECIAL or ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast or ip.is_reserved:
        return False
    return ip not in SANDBOXES and ip not in current_addresses()


SPECIAL = ipaddress.ip_network("0.0.0.0/8")  # "this host on this network" (RFC 1122 section 3.2.1.3)
SANDBOXES = ipaddress.ip_network(sys.argv[3]) if len(sys.argv) > 3 else SPECIAL
_known = (float("-inf"), frozenset())


def current_addresses():
    """`own_addresses`, looked up again every few seconds."""
    global _known
    if time.monotonic() - _known[0] > ADDRESSES_KEPT_S:
        _known = (time.monotonic(), frozenset(own_addresses()))
    return _known[1]


async def connect(host, port):
    loop = asyncio.get_running_loop()
    found = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), CONNECT_S)
    allowed = [each for each in found if is_allowed(each[4][0])]
    if not allowed:
        raise PermissionError(f"{host} is an address of this machine")
    for _, _, _, _, address in allowed:
        try:
            return await asyncio.wait_for(asyncio.open_connection(address[0], address[1]), CONNECT_S)
        except (TimeoutError, OSError) as error:
            last = error
    raise last


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()


async def serve(reader, writer):
    outside = None
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
        first, rest = head.split(b"\r\n", 1)
        method, target, version = first.split(b" ")
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            outside = await connect(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(target.decode())
            outside = await connect(url.hostname, url.port or 80)
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            lines = [each for each in rest.split(b"\r\n") if not each.lower().startswith((b"proxy-", b"connection:"))]
            outside[1].write(
                b" ".join([method, path.encode(), version]) + b"\r\nConnection: close\r\n" + b"\r\n".join(lines)
            )
        await asyncio.gather(pump(reader, outside[1]), pump(outside[0], writer))
    except PermissionError as error:
        writer.write(f"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n{error}\n".encode())
    except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.write(f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n\r\n{error}\n".encode())
    finally:
        for each in (writer, outside and outside[1]):
            if each is not None:
                each.close()


def become_user(uid):
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


async def main(path, uid):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    before = os.umask(0o177)
    server = await asyncio.start_unix_server(serve, path, limit=HEAD_LIMIT, backlog=512)
    os.umask(before)
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)  # imports what the user below may not be able to read
    become_user(uid)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
