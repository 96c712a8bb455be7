"""The way out for sandboxes without a network of their own: an HTTP proxy on a unix socket.

A program of its own (standard library only, `python -I -S proxy.py SOCKET`), so that it lives on without the control
plane. It speaks CONNECT and plain HTTP requests with an absolute URI (RFC 9110 section 9.3.6, RFC 9112 section 3.2.2)
and refuses every address of this machine: a tenant must not reach the host's services through it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import sys
from urllib.parse import urlsplit

HEAD_LIMIT = 65536
CONNECT_S = 20


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
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast or ip.is_reserved:
        return False
    return ip not in own_addresses()


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
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
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


async def main(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    before = os.umask(0o177)
    server = await asyncio.start_unix_server(serve, path, limit=HEAD_LIMIT, backlog=512)
    os.umask(before)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
