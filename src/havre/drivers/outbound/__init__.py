"""What the platform sends to where its tenants say: HTTP posts, lines over TCP, datagrams.

A tenant names the target, so the address is looked up once, checked, and connected to as checked: never the
machine's own loopback (unless allowed), never link-local, never multicast. Every exchange has a deadline.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.abc import SocketStream

from havre.base.errors import InvalidError, UnavailableError

TIMEOUT_S = 25.0
ANSWER_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port, looked up and allowed. `address` is what is connected to."""

    scheme: str
    host: str
    port: int
    address: str


@dataclass(frozen=True)
class Outbound:
    allows_loopback: bool
    trust: ssl.SSLContext | None = None

    async def resolve(self, url: str, *, ports: Mapping[str, int]) -> Target:
        """Check `url` (one of the schemes in `ports`, each with its default port) and look its host up.

        Raises InvalidError for what is no such URL or where nothing may go, UnavailableError for an unknown host.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or ports.get(parts.scheme, 0)
        except ValueError as cause:
            raise InvalidError(f"{url[:200]!r} is not a URL") from cause
        if parts.scheme not in ports or not parts.hostname or not port:
            kinds = ", ".join(f"{each}://host" for each in ports)
            raise InvalidError(f"{url[:200]!r} is not a URL of the form {kinds}")
        try:
            with anyio.fail_after(TIMEOUT_S):
                found = await anyio.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError) as cause:
            raise UnavailableError(f"there is no host {parts.hostname}", host=parts.hostname) from cause
        addresses = [str(each[4][0]) for each in found]
        for each in addresses:
            self._check(each, parts.hostname)
        return Target(parts.scheme, parts.hostname, port, addresses[0])

    def _check(self, address: str, host: str) -> None:
        ip = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if ip.is_loopback and self.allows_loopback:
            return
        if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
            raise InvalidError(f"{host} is an address of the platform itself: nothing is sent there", host=host)

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str], auth: tuple[str, str] | None = None
    ) -> int:
        """POST `body`; returns the 2xx status. Raises UnavailableError with what was answered otherwise."""
        target = await self.resolve(url, ports={"https": 443, "http": 80})
        parts = httpx.URL(url)
        shown = f"[{target.address}]" if ":" in target.address else target.address
        to = parts.copy_with(host=shown, port=target.port, username=None, password=None)
        given = auth or ((parts.username, parts.password) if parts.username else None)
        own = {"host": parts.netloc.decode().rpartition("@")[2], "user-agent": "havre"}
        try:
            with anyio.fail_after(TIMEOUT_S):
                async with httpx.AsyncClient(
                    verify=self.trust or ssl.create_default_context(), trust_env=False, timeout=TIMEOUT_S
                ) as client:
                    extensions = {"sni_hostname": target.host}
                    request = client.build_request(
                        "POST", to, content=body, headers={**headers, **own}, extensions=extensions
                    )
                    sent = await client.send(request, auth=given, stream=True, follow_redirects=False)
                    await sent.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as cause:
            what = str(cause) or type(cause).__name__
            raise UnavailableError(f"{target.host}:{target.port} could not be reached: {what[:200]}") from cause
        if not sent.is_success:
            raise UnavailableError(f"{target.host}:{target.port} answered {sent.status_code}", status=sent.status_code)
        return sent.status_code

    async def stream(self, target: Target, body: bytes, *, tls: bool) -> None:
        """Connect, send, close. Raises UnavailableError. What the far end had not read when it broke is lost."""
        try:
            with anyio.fail_after(TIMEOUT_S):
                if tls:
                    context = self.trust or ssl.create_default_context()
                    stream = await anyio.connect_tcp(
                        target.address,
                        target.port,
                        tls=True,
                        ssl_context=context,
                        tls_hostname=target.host,
                        tls_standard_compatible=False,
                    )
                    async with stream:
                        await stream.send(body)
                    return
                plain = await anyio.connect_tcp(target.address, target.port)
                async with plain:
                    await plain.send(body)
                    await plain.send_eof()
                    await _until_closed(plain)
        except (OSError, TimeoutError, ssl.SSLError, anyio.BrokenResourceError) as cause:
            raise UnavailableError(f"{target.host}:{target.port} could not be reached: {cause}") from cause

    async def datagrams(self, target: Target, bodies: list[bytes]) -> None:
        """Send each as one datagram. Nobody says whether they arrive."""
        try:
            async with await anyio.create_udp_socket(family=_family(target.address)) as out:
                for each in bodies:
                    await out.sendto(each, target.address, target.port)
        except OSError as cause:
            raise UnavailableError(f"{target.host}:{target.port} could not be reached: {cause}") from cause


def _family(address: str) -> Literal[socket.AddressFamily.AF_INET, socket.AddressFamily.AF_INET6]:
    return socket.AddressFamily.AF_INET6 if ":" in address else socket.AddressFamily.AF_INET


async def _until_closed(stream: SocketStream) -> None:
    """The far end has read what was sent when it closes its side; one that keeps it open is left after a moment."""
    with anyio.move_on_after(0.5):
        try:
            while True:
                await stream.receive()
        except anyio.EndOfStream:
            return
