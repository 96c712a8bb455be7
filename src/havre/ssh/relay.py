"""Bytes between an SSH session and a shell in an instance, until the shell ends or the person leaves."""

from __future__ import annotations

import os

import anyio
import asyncssh

from havre.kernel.units import Shell

PART = 65536
LEFT_S = 0.5  # for what is still on its way when the shell has ended


async def relay(process: asyncssh.SSHServerProcess[bytes], shell: Shell) -> int:
    """Returns the exit code of the shell. What it said is sent before; what it left in the background is left there."""
    async with anyio.create_task_group() as group:
        said = anyio.Event()
        if shell.master is not None:
            group.start_soon(_type, process, shell)
            group.start_soon(_show, process, shell, said)
        else:
            group.start_soon(_feed, process, shell)
            group.start_soon(_outputs, process, shell, said)
        code = await shell.wait()
        with anyio.move_on_after(LEFT_S):
            await said.wait()
        group.cancel_scope.cancel()
    return code


async def _outputs(process: asyncssh.SSHServerProcess[bytes], shell: Shell, said: anyio.Event) -> None:
    async with anyio.create_task_group() as outputs:
        outputs.start_soon(_copy, shell.process.stdout, process.stdout)
        outputs.start_soon(_copy, shell.process.stderr, process.stderr)
    said.set()


async def _type(process: asyncssh.SSHServerProcess[bytes], shell: Shell) -> None:
    """What the person types, and the size of their window."""
    while True:
        try:
            typed = await process.stdin.read(PART)
        except asyncssh.TerminalSizeChanged as change:
            shell.resize(change.height, change.width)
            continue
        except asyncssh.BreakReceived:
            typed = b"\x03"
        except (asyncssh.SignalReceived, asyncssh.Error):
            typed = b""
        if not typed:
            shell.process.terminate()
            return
        while typed and shell.master is not None:
            await anyio.wait_writable(shell.master)
            try:
                typed = typed[os.write(shell.master, typed) :]
            except BlockingIOError:
                continue
            except OSError:
                return


async def _show(process: asyncssh.SSHServerProcess[bytes], shell: Shell, said: anyio.Event) -> None:
    """What stands on the terminal, until nobody inside has it open any more."""
    try:
        await _shown(process, shell)
    finally:
        said.set()


async def _shown(process: asyncssh.SSHServerProcess[bytes], shell: Shell) -> None:
    while shell.master is not None:
        await anyio.wait_readable(shell.master)
        try:
            part = os.read(shell.master, PART)
        except BlockingIOError:
            continue
        except OSError:  # EIO: the last process of the terminal has gone
            return
        if not part or not await _write(process.stdout, part):
            return


async def _feed(process: asyncssh.SSHServerProcess[bytes], shell: Shell) -> None:
    assert shell.process.stdin is not None
    while True:
        try:
            part = await process.stdin.read(PART)
        except asyncssh.Error:
            part = b""
        if not part:
            await shell.process.stdin.aclose()
            if process.channel.is_closing():
                shell.process.terminate()
            return
        try:
            await shell.process.stdin.send(part)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


async def _copy(source: anyio.abc.ByteReceiveStream | None, target: asyncssh.SSHWriter[bytes]) -> None:
    assert source is not None
    try:
        while await _write(target, await source.receive(PART)):
            continue
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return


async def _write(target: asyncssh.SSHWriter[bytes], part: bytes) -> bool:
    """Whether the person is still there."""
    try:
        target.write(part)
        await target.drain()
    except (OSError, asyncssh.Error):
        return False
    return True
