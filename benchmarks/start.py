"""Start of an isolated app until its first answer, and of the bare process, in turn; the last line is JSON.

    python start.py node,bun,python,go

Medians of ROUNDS pairs in one run, for each kind: {"node": {"isolated_s": …, "bare_s": …}, …}. The isolated start is
what a deploy does: the engine's start of a release, then an answer through the instance's door. The bare process is the
same program of the same release, asked the same way at a port of loopback. Nothing else of ours runs beside either.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import anyio
from tests.ports import free_ports
from tests.room.build_rig import BuildRig, Built, Started, an_instance, open_rig, places

from havre.apps import specs, stacks
from havre.drivers.toolchains import Toolchain

ROUNDS = 9
REST_S = 0.5  # before each start: what the last one left is cleaned away, and the engine has its spares again
NODE = """require("node:http").createServer((request, response) => response.end("hello"))
  .listen(process.env.PORT ?? 8080, "0.0.0.0")"""
BUN = 'Bun.serve({ port: process.env.PORT ?? 8080, hostname: "0.0.0.0", fetch: () => new Response("hello") })'
PYTHON = """import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", 8080))), Hello).serve_forever()
"""
GO = """package main
import ("net/http"; "os")
func main() {
	port := os.Getenv("PORT")
	if port == "" { port = "8080" }
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello")) })
	http.ListenAndServe(":"+port, nil)
}
"""
KINDS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {  # the app's type, its files, its variables
    "node": ("node", {"package.json": '{"name": "a", "scripts": {"start": "node server.js"}}', "server.js": NODE}, {}),
    "bun": (
        "node",
        {"package.json": '{"name": "a", "scripts": {"start": "bun server.js"}}', "server.js": BUN},
        {"CC_NODE_BUILD_TOOL": "bun"},
    ),
    "python": ("python", {"requirements.txt": "", "app.py": PYTHON}, {"CC_RUN_COMMAND": "python3 app.py"}),
    "go": ("go", {"go.mod": "module example.test/hello\n\ngo 1.21\n", "main.go": GO}, {}),
}
Command = Callable[[Built], list[str]]
BARE: dict[str, Command] = {
    "node": lambda built: [str(tool(built, "node").source / "bin" / "node"), "server.js"],
    "bun": lambda built: [str(next(tool(built, "bun").source.rglob("bin/bun"))), "server.js"],
    "python": lambda _: ["/usr/bin/python3", "app.py"],
    "go": lambda built: [str(next(each for each in built.release.rglob("*") if is_program(each)))],
}


def tool(built: Built, name: str) -> Toolchain:
    return next(each for each in built.toolchains if each.name == name or each.name.startswith(name))


def is_program(file: Path) -> bool:
    return file.is_file() and os.access(file, os.X_OK) and file.read_bytes()[:4] == b"\x7fELF"


async def isolated(rig: BuildRig, built: Built) -> float:
    instance = an_instance(built.app, built.deployment)
    log = rig.paths.deployments / built.deployment.id / f"{instance.id}.log"
    sockets = rig.paths.app_sockets
    spec = specs.instance_spec(
        paths=rig.paths, app=built.app, deployment=built.deployment, plan=built.plan,
        toolchains=built.toolchains, instance=instance, log=log,
        doors=specs.Doors(sockets / "a.sock", sockets / "a.tcp", sockets / "a.own"),
        tree=stacks.tree_of(rig.stacks, built.roots.run),
    )  # fmt: skip
    began = time.monotonic()
    await rig.engine.start(spec)
    started = Started(rig.engine, spec.id, log)
    while await started.ask("/") is None:
        await anyio.sleep(0.01)
    took = time.monotonic() - began
    await rig.engine.stop(spec.id, grace_s=0)
    await rig.engine.forget(spec.id)
    return took


@contextmanager
def bare_process(built: Built, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The same program with the same runtime on this machine; it has answered."""
    (port,) = free_ports(1)
    environment = {"PATH": os.defpath, "PORT": str(port)}
    process = subprocess.Popen(command, cwd=built.release, env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                break
            except OSError:
                assert process.poll() is None, command
                time.sleep(0.01)
            finally:
                connection.close()
        yield process
    finally:
        process.kill()
        process.wait()


def bare(built: Built, command: list[str]) -> float:
    began = time.monotonic()
    with bare_process(built, command):
        return time.monotonic() - began


async def measure(kind: str) -> dict[str, float]:
    runtime, files, env = KINDS[kind]
    with places() as paths:
        rig = open_rig(paths)
        try:
            built = await rig.build(files, runtime, env)
            assert built.exit.is_success, built.said
            command = BARE[kind](built)
            await isolated(rig, built)
            await anyio.to_thread.run_sync(bare, built, command)
            pairs = []
            for _ in range(ROUNDS):
                await anyio.sleep(REST_S)
                mine = await isolated(rig, built)
                await anyio.sleep(REST_S)
                pairs.append((mine, await anyio.to_thread.run_sync(bare, built, command)))
        finally:
            await rig.end()
    return {
        "isolated_s": statistics.median(each[0] for each in pairs),
        "bare_s": statistics.median(each[1] for each in pairs),
    }


if __name__ == "__main__":
    wanted = sys.argv[1].split(",") if len(sys.argv) > 1 else list(KINDS)
    print(json.dumps({each: anyio.run(measure, each) for each in wanted}))
