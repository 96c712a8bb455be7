"""The SSH gateway: `clever ssh` into a running instance of one's own apps. See README.md.

A person is known by their registered key; what they ask for is the id of an instance, as SSH's remote command. The room
is a door, like the API: it authenticates, asks governance, and hands bytes to and fro.
"""

from __future__ import annotations

from havre.kernel.kernel import Kernel
from havre.kernel.rooms import Health, Loop, Room
from havre.ssh.gateway import Gateway

__all__ = ["setup"]


def setup(kernel: Kernel) -> Room:
    """The room; without a port it is closed."""
    gateway = Gateway(kernel)

    async def health() -> Health:
        return Health(error=gateway.error, figures={"sessions": float(gateway.sessions)})

    loops = (Loop("ssh.gateway", gateway.run),) if kernel.config.ssh.port else ()
    return Room("ssh", loops=loops, health=health)
