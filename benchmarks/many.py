"""A hundred apps on one machine that loses its power: seconds until every one of them answers again."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.start import KINDS
from benchmarks.wire import Api
from tests.system.rig import Installation, commit, until

RETRY_S = 0.05


def open_many(havre: Installation, count: int) -> list[str]:
    """Create and deploy `count` small apps from one repository; their hosts."""
    runtime, files, env = KINDS["python"]
    folder = havre.new_repository("many-apps", files)
    commit(folder, "first")
    hosts = []
    for number in range(count):
        name, api = f"many-{number}", Api(havre)  # a connection that was idle for long is closed
        app = json.loads(api.ask("POST", "/v2/self/applications", {"name": name, "instanceType": runtime}))
        scale = {"minFlavor": "pico", "maxFlavor": "pico", "name": name}
        api.ask("PUT", f"/v2/self/applications/{app['id']}", scale)
        api.ask("PUT", f"/v2/self/applications/{app['id']}/env", env)
        push(havre, folder, app["id"])
        hosts.append(f"{name}.havre.localhost")
        if number % 10 == 9:  # not all builds at once: this is not what is measured
            wait_for(havre, hosts[-10:], limit_s=300)
    wait_for(havre, hosts, limit_s=300)
    return hosts


def push(havre: Installation, folder: Path, app_id: str) -> None:
    found = havre.environment()
    helper = f"!f() {{ echo username={found['CLEVER_TOKEN']}; echo password={found['CLEVER_SECRET']}; }}; f"
    address = f"{found['API_HOST']}/git/{app_id}.git"
    command = ["git", "-c", f"credential.helper={helper}", "push", "-q", address, "HEAD:refs/heads/master"]
    subprocess.run(command, cwd=folder, env=found, check=True, capture_output=True, timeout=120)


def wait_for(havre: Installation, hosts: list[str], *, limit_s: float) -> float:
    """Ask every host until it answers 200; seconds until the last one did."""
    began, waiting = time.monotonic(), list(hosts)
    lock = threading.Lock()

    def ask_on() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                host = waiting.pop()
            while not is_there(havre, host):
                assert time.monotonic() < began + limit_s, f"{host} does not answer"
                time.sleep(RETRY_S)

    threads = [threading.Thread(target=ask_on) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return time.monotonic() - began


def is_there(havre: Installation, host: str) -> bool:
    try:
        return havre.get(host)[0] == 200
    except OSError:
        return False


def power_on_s(havre: Installation, count: int) -> tuple[float, float]:
    """Seconds from `havre up` on a machine where nothing runs until the first and until every app has answered."""
    hosts = open_many(havre, count)
    havre.kill_everything()
    until(lambda: havre.processes() == [], what="nothing runs")
    began = time.monotonic()
    up = threading.Thread(target=havre.up)
    up.start()
    first = wait_for(havre, hosts[:1], limit_s=300)
    wait_for(havre, hosts, limit_s=300)
    took = time.monotonic() - began
    up.join()
    return first, took
