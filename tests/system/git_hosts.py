"""Git hosts beyond this machine: https and ssh servers in a network namespace of their own, reached by a veth pair.

Sandboxes may not reach services of this machine, so that a stranger's repository must stand elsewhere. Needs root.
As a program (`git_hosts.py FOLDER ADDRESS`) it is the servers, inside the namespace.
"""

from __future__ import annotations

import asyncio
import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HTTPS_PORT, SSH_PORT = 8443, 2222


@dataclass(frozen=True)
class Hosts:
    """`ca` signs the https host; `key` is the one that the ssh host lets in; repositories stand in `folder`."""

    folder: Path
    address: str
    ca: Path
    key: str

    @property
    def https(self) -> str:
        return f"https://{self.address}:{HTTPS_PORT}"

    @property
    def ssh(self) -> str:
        return f"ssh://git@{self.address}:{SSH_PORT}"

    def heard(self) -> list[str]:
        file = self.folder / "heard"
        return file.read_text().splitlines() if file.exists() else []


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """The servers, until the end; their repositories are made by the caller in `folder`."""
    number = os.getpid()
    name, net = f"hvg{number % 100_000}", f"10.222.{number % 250}.{number // 250 % 60 * 4}"
    here, there = (f"{net.rpartition('.')[0]}.{int(net.rpartition('.')[2]) + each}" for each in (1, 2))
    _certificate(folder, there)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    _run("ip", "netns", "add", name)
    server = None
    try:
        _run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b", "netns", name)
        _run("ip", "addr", "add", f"{here}/30", "dev", f"{name}a")
        _run("ip", "link", "set", f"{name}a", "up")
        for words in (("addr", "add", f"{there}/30", "dev", f"{name}b"), ("link", "set", f"{name}b", "up"),
                      ("link", "set", "lo", "up"), ("route", "add", "default", "via", here)):  # fmt: skip
            _run("ip", "-n", name, *words)
        server = subprocess.Popen(
            ["ip", "netns", "exec", name, sys.executable, __file__, str(folder), there], stdout=subprocess.PIPE
        )
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        yield Hosts(folder, there, folder / "ca.pem", (folder / "key").read_text())
    finally:
        if server is not None:
            server.kill()
            server.wait()
        subprocess.run(["ip", "netns", "del", name], check=False)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)


def _certificate(folder: Path, address: str) -> None:
    _run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=git hosts",
        "-keyout", str(folder / "tls.key"), "-out", str(folder / "ca.pem"), "-addext", f"subjectAltName=IP:{address}",
    )  # fmt: skip


# the servers


class _Git(http.server.BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1"}
        env |= {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1"}
        env |= {"CONTENT_TYPE": self.headers.get("content-type", "")}
        env |= {"HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", "")}
        env |= {"GIT_PROTOCOL": self.headers.get("git-protocol", "")}
        body = self._body()
        env |= {"CONTENT_LENGTH": str(len(body))}
        made = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env | _anybody())
        head, _, answer = made.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((value for name, value in fields if name.lower() == "status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name.lower() != "status":
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, format: str, *args: object) -> None:
        return None


def _anybody() -> dict[str, str]:
    """git serves repositories of whoever made them."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def _serve_https(folder: Path, address: str) -> None:
    _Git.folder = folder
    server = http.server.ThreadingHTTPServer((address, HTTPS_PORT), _Git)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


async def _serve_ssh(folder: Path, address: str) -> None:
    import asyncssh

    async def answer(process: asyncssh.SSHServerProcess[bytes]) -> None:
        program, _, path = (process.command or "").partition(" ")
        with open(folder / "heard", "a") as heard:  # noqa: ASYNC230 - one line of a test's server
            heard.write(f"{process.command}\n")
        repository = folder / path.strip("'").lstrip("/")
        if program != "git-upload-pack" or not repository.is_relative_to(folder):
            process.exit(1)
            return
        env = {"PATH": os.environ["PATH"], "GIT_PROTOCOL": process.env.get("GIT_PROTOCOL", "")} | _anybody()
        made = await asyncio.create_subprocess_exec(
            "git", "upload-pack", str(repository), env=env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await process.redirect(stdin=made.stdin, stdout=made.stdout, stderr=made.stderr)
        process.exit(await made.wait())

    key = asyncssh.generate_private_key("ssh-ed25519")
    await asyncssh.listen(
        address, SSH_PORT, server_host_keys=[key], authorized_client_keys=str(folder / "key.pub"),
        process_factory=answer, encoding=None,
    )  # fmt: skip
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _serve_https(Path(sys.argv[1]), sys.argv[2])
    asyncio.run(_serve_ssh(Path(sys.argv[1]), sys.argv[2]))
