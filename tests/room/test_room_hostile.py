"""Apps that mean harm: each is contained, and its neighbour goes on answering.

The whole file runs twice: as root, as most installations do, and (`as_an_ordinary_user`) as a user without any
privilege. What a mode cannot give is a line of `havre doctor`, named here beside the trial that lacks it.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest

from havre.kernel import doctor
from havre.kernel.config import Config
from havre.kernel.units import Strain, UnitSpec
from tests.hostile_rig import (
    IS_ROOT,
    PRELUDE,
    SECRET,
    HostileRig,
    HostService,
    as_ordinary_user,
    host_service,
    open_rig,
    tail,
)  # fmt: skip

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]
HAS_PASTA = os.access("/dev/net/tun", os.R_OK | os.W_OK) and shutil.which("pasta") is not None


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def rig() -> AsyncIterator[HostileRig]:
    with open_rig() as made:
        try:
            yield made
        finally:
            await made.end()


@pytest.fixture(scope="module")
async def neighbour(rig: HostileRig) -> UnitSpec:
    return await rig.neighbour()


@pytest.fixture(scope="module")
def service() -> Iterator[HostService]:
    with host_service() as made:
        yield made


# what others have

READING = {
    "files of the platform and of other apps": """
        for place in ({data!r}, {run!r}, {neighbour_log!r}, "/root", "/home", "/var", "/proc/1/root" + {data!r}, "/mnt"):
            for folder, _, names in os.walk(place):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.stat(path).st_size < 10**6 and {backwards!r}[::-1].encode() in open(path, "rb").read(): leak(path)
        for path in ("/data", "/mnt", "/oldroot", "/newroot", {data!r}, {run!r}, "/sys", "/boot", "/root", "/srv", "/opt/x"):
            if os.path.exists(path) and os.listdir(path): leak(path + str(os.listdir(path)))
        for path in ("/etc/shadow", "/etc/machine-id", "/etc/ssh", "/var/lib/dpkg/status", "/dev/mem", "/dev/kmsg", "/dev/vda"):
            if os.path.exists(path): leak(path)
    """,
    "files through links out of its own": """
        os.symlink({data!r}, "/tmp/data"); os.symlink("/proc/1/root", "/tmp/root"); os.symlink("../" * 40 + {data!r}[1:], "x")
        for path in ("/tmp/data/havre.db", "/tmp/root" + {data!r} + "/havre.db", "x/havre.db", "/proc/self/cwd/../../.." + {data!r}):
            refused(path, errno.ENOENT, errno.EACCES)(lambda: open(path).read())
        for fd in range(3, 1000):
            try: leak("descriptor " + os.readlink(f"/proc/self/fd/{{fd}}"))
            except OSError: pass
    """,
    "environments and command lines": """
        for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
            try: content = open(path, "rb").read()
            except OSError: continue
            if {backwards!r}[::-1].encode() in content or b"havre.db" in content: leak(path)
        if len(glob.glob("/proc/[0-9]*")) > 6: leak("processes of others")
    """,
    "processes, by signals and by tracing": """
        mine = {{int(each.rsplit("/", 1)[1]) for each in glob.glob("/proc/[0-9]*")}}
        for pid in (*range(1, 40000), {neighbour_pid}, {own_pid}):
            if pid not in mine:
                try: os.kill(pid, 0)
                except ProcessLookupError: continue
                except OSError: pass
                leak(f"process {{pid}}")
        for number in (101, 310, 311, 438, 434):
            try: syscall(number, 16, {neighbour_pid}, 0, 0, 0, 0)
            except OSError: continue
            leak(f"system call {{number}} on the neighbour")
    """,
    "sockets, shared memory and queues of others": """
        for line in open("/proc/net/unix").read().splitlines()[1:]:
            leak("unix socket " + line)
        refused("abstract socket")(lambda: socket.socket(socket.AF_UNIX).connect("\\0havre-neighbour"))
        for path in ({run!r} + "/api.sock", {run!r} + "/proxy.sock", "/run/dbus/system_bus_socket", "/run/docker.sock"):
            refused(path)(lambda: socket.socket(socket.AF_UNIX).connect(path))
        if len(open("/proc/sysvipc/shm").read().splitlines()) > 1: leak("shared memory")
        if os.listdir("/dev/shm") or os.listdir("/tmp") or os.listdir("/run"): leak("files in memory")
    """,
}  # fmt: skip


@pytest.mark.parametrize("what", READING)
async def test_an_app_reaches_nothing_of_others(rig: HostileRig, neighbour: UnitSpec, what: str) -> None:
    unit = await rig.engine.get(neighbour.id)
    assert unit is not None and unit.pid is not None
    facts = {
        "data": str(rig.paths.data), "run": str(rig.paths.run), "backwards": SECRET[::-1], "neighbour_log": str(neighbour.log.parent),
        "neighbour_pid": unit.pid, "own_pid": os.getpid(),
    }  # fmt: skip
    trial = await rig.attack(READING[what].format(**facts) + '\n        print("done")')
    assert trial.leaks == [] and trial.said.endswith("done\n"), trial.said


# the kernel

CALLS = {
    "mount": (165, "b'none', b'/tmp', b'tmpfs', 0, 0"), "umount2": (166, "b'/proc', 0"), "chroot": (161, "b'/tmp'"),
    "pivot_root": (155, "b'/tmp', b'/tmp'"), "unshare": (272, "0x10000000"), "setns": (308, "0, 0"),
    "init_module": (175, "0, 0, 0"), "kexec_load": (246, "0, 0, 0, 0"), "reboot": (169, "0xfee1dead, 672274793, 0, 0"),
    "bpf": (321, "0, 0, 0"), "perf_event_open": (298, "0, 0, 0, 0, 0"), "userfaultfd": (323, "0"),
    "add_key": (248, "b'user', b'x', b'y', 1, -3"), "keyctl": (250, "0, -3, 1"), "syslog": (103, "3, 0, 0"),
    "settimeofday": (164, "0, 0"), "clock_settime": (227, "0, 0"), "sethostname": (170, "b'x', 1"), "iopl": (172, "3"),
    "swapon": (167, "b'/tmp', 0"), "acct": (163, "b'/tmp/x'"), "quotactl": (179, "0, 0, 0, 0"),
    "open_by_handle_at": (304, "0, 0, 0"), "fsopen": (430, "b'tmpfs', 0"), "move_mount": (429, "0, b'', 0, b'', 0"),
    "io_uring_setup": (425, "8, 0"), "fanotify_init": (300, "0, 0"), "mount_setattr": (442, "0, b'', 0, 0, 0"),
    "modify_ldt": (154, "0, 0, 0"), "clone with a new user namespace": (56, "0x10000011, 0, 0, 0, 0"),
}  # fmt: skip


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86-64's")
async def test_the_kernel_refuses_what_no_app_needs(rig: HostileRig) -> None:
    lines = [f"refused({name!r})(lambda: syscall({number}, {args}))" for name, (number, args) in CALLS.items()]
    trial = await rig.attack("\n".join([*lines, "os._exit(0) if os.getppid() == 0 else print('done')"]))
    assert trial.leaks == [] and trial.said.endswith("done\n"), trial.said


async def test_the_kernels_interfaces_are_out_of_reach(rig: HostileRig) -> None:
    trial = await rig.attack(
        """
        for family in (9, 15, 17, 21, 29, 30, 31, 38, 40, 41, 42, 44):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                refused(f"sockets of family {family}", errno.EAFNOSUPPORT)(lambda: socket.socket(family, kind))
        refused("raw socket", errno.EPERM)(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
        for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/kcore",
                     "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname",
                     "/proc/irq/default_smp_affinity", "/dev/tty0", "/sys/fs/cgroup/cgroup.procs"):
            refused(path)(lambda: open(path, "wb", buffering=0).write(b"1"))
        refused("device")(lambda: os.mknod("/tmp/sda", 0o60600, os.makedev(8, 0)))
        for pid in (1, "self"):
            refused(f"less of a victim: {pid}")(lambda: open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0).write(b"-1"))
            if "Seccomp:\\t2" not in open(f"/proc/{pid}/status").read(): leak(f"{pid} has no filter of system calls")
        refused("nice")(lambda: os.nice(-5))
        refused("real time")(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
        for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
            try: resource.setrlimit(which, (2**20, 2**20))
            except (ValueError, OSError): continue
            leak(f"limit {which}")
        for path in ("/usr/x", "/etc/x", "/x", "/dev/x", "/proc/x", "/bin/x", "/home/x", "/var/x"):
            refused(path)(lambda: open(path, "w"))
        if any(line.split(":", 2)[2] != "/" for line in open("/proc/self/cgroup").read().splitlines() if ":/" not in line):
            leak("control groups")
        if "0000000000000000" not in open("/proc/self/status").read().split("CapBnd:")[1].split()[0]: leak("capabilities")
        if "NoNewPrivs:\\t1" not in open("/proc/self/status").read(): leak("new privileges")
        print("done")
        """
    )
    assert trial.leaks == [] and trial.said.endswith("done\n"), trial.said


# the network

LOOPBACKS = ("127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")


@pytest.mark.parametrize("way_out", ["best", "proxy"])
async def test_no_service_of_the_host_and_no_other_app_is_reached(way_out: str, service: HostService) -> None:
    with open_rig(way_out=way_out) as rig:
        neighbour = await rig.neighbour()
        addresses = [*LOOPBACKS, *service.addresses, "::ffff:" + service.addresses[-1], "169.254.169.254", "fe80::1"]
        addresses += ["10.213.0.1", "10.213.0.2", "10.213.0.3", "10.213.0.0"]
        trial = await rig.attack(
            f"""
            addresses, ports = {addresses!r}, ({service.port}, 8080)
            own = {{"127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"}}
            def direct(host, port):
                if reaches(host, port): leak(f"direct {{host}} {{port}}")
            def ask(request):
                try:
                    with socket.create_connection(("127.0.0.1", 3128), 2) as proxy:
                        proxy.sendall(request.encode())
                        proxy.settimeout(4)
                        return proxy.recv(100).decode(errors="replace")
                except OSError:
                    return ""
            def proxied(host, port):
                shown = f"[{{host}}]" if ":" in host else host
                for request in (f"CONNECT {{shown}}:{{port}} HTTP/1.1\\r\\n\\r\\n", f"GET http://{{shown}}:{{port}}/ HTTP/1.1\\r\\n\\r\\n"):
                    said = ask(request)
                    if said and " 403 " not in said and " 502 " not in said: leak(f"proxy {{request!r}}: {{said!r}}")
            threads = [threading.Thread(target=each, args=(host, port)) for each in (direct, proxied) for host in addresses for port in ports]
            for each in threads: each.start()
            for each in threads: each.join()
            if {way_out == "proxy"} and " 403 " not in ask("CONNECT 127.0.0.1:{service.port} HTTP/1.1\\r\\n\\r\\n"): leak("no proxy was there")
            print("done")
            """
        )
        assert trial.leaks == [] and trial.said.endswith("done\n"), trial.said
        assert service.visits == []
        assert SECRET in await rig.ask(neighbour)
        await rig.end()


async def test_the_way_out_of_one_app_is_not_used_up_by_another() -> None:
    with open_rig(way_out="proxy") as rig:
        greedy = await rig.start(rig.spec(PROXY_HOARDER))
        with anyio.fail_after(60):
            while "hoarded" not in greedy.log.read_text():
                await anyio.sleep(0.1)
            other = await rig.attack(
                """
                with socket.create_connection(("127.0.0.1", 3128), 5) as proxy:
                    proxy.sendall(b"CONNECT 127.0.0.1:1 HTTP/1.1\\r\\n\\r\\n")
                    proxy.settimeout(5)
                    print(proxy.recv(100))
                """
            )
        assert "403" in other.said
        held = int(greedy.log.read_text().split("hoarded ")[1].split()[0])
        assert held <= 128 + 128, "the proxy's connections, and the backlog of the door to it"
        await rig.end()


PROXY_HOARDER = """
import socket, time
held = []
for _ in range(1000):
    s = socket.socket(); s.settimeout(0.3)
    try: s.connect(("127.0.0.1", 3128))
    except OSError: break
    held.append(s)
print("hoarded", len(held), flush=True)
time.sleep(600)
"""


# bombs

Claim = Callable[[], Awaitable[None]]


async def while_the_neighbour_answers(rig: HostileRig, neighbour: UnitSpec, trial: Claim) -> None:
    """Carry out `trial`; meanwhile the neighbour is asked without a pause and answers every time."""
    took: list[float] = []
    is_over = anyio.Event()

    async def ask() -> None:
        while not is_over.is_set():  # not cancelled: AnyIO fails on a stream that is readable the moment it is given up
            began = time.perf_counter()
            assert SECRET in await rig.ask(neighbour)
            took.append(time.perf_counter() - began)
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await trial()
        is_over.set()
    assert took
    p99 = statistics.quantiles(took, n=100)[98] if len(took) > 1 else took[0]
    print(f"neighbour: {len(took)} answers, p99 {p99 * 1000:.0f} ms", end=" ")


BOMBS = {
    "fork": """
        while True:
            try: os.fork() or time.sleep(600)
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "thread": """
        threading.stack_size(65536)
        while True:
            try: threading.Thread(target=time.sleep, args=(600,)).start()
            except RuntimeError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "descriptor": """
        held = []
        while True:
            try: held.append(open("/dev/null"))
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "connection": """
        held = []
        while True:
            try:
                held.append(socket.create_server(("127.0.0.1", 0)))
                held.append(socket.create_connection(held[-1].getsockname()))
            except OSError: os.write(1, b"full\\n"); time.sleep(600)
    """,
    "processor": "[os.fork() for _ in range(4)]\nwhile True: pass",
    "signal": "while True:\n    try: os.kill(-1, 0)\n    except OSError: pass",
    "output": "while True: os.write(1, b'y' * 65536)",
}  # fmt: skip


MUST_FILL = ("fork", "thread")  # the others need not come to their end: what they do on the way is enough


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_contained_and_its_neighbour_answers(rig: HostileRig, neighbour: UnitSpec, kind: str) -> None:
    async def trial() -> None:
        bomb = await rig.start(rig.spec(PRELUDE + textwrap.dedent(BOMBS[kind]), flavor="XS"))
        with anyio.move_on_after(60 if kind in MUST_FILL else 3):
            while "full\n" not in tail(bomb.log):
                await anyio.sleep(0.05)
        assert kind not in MUST_FILL or "full\n" in tail(bomb.log)
        other = await rig.attack("print('still room')")
        assert other.said == "still room\n", "another app starts while the bomb goes off"
        unit = await rig.engine.get(bomb.id)
        assert unit is not None and unit.state == "running" and processes_of(unit.pid) <= 520
        if kind == "output":
            assert unit.slowed > 0 and os.stat(bomb.log).st_blocks * 512 <= 65 * 1024**2
        with anyio.fail_after(30):
            await rig.engine.stop(bomb.id, grace_s=0)
        assert processes_of(unit.pid) == 0

    await while_the_neighbour_answers(rig, neighbour, trial)


def processes_of(monitor: int | None) -> int:
    """Threads below a monitor."""
    found, waiting = 0, [monitor]
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            found += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
        waiting += [int(each) for each in children]
    return max(0, found - 1)


MEMORY = {
    "its own": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "of many": """
        most, (reading, writing) = globals().get("MOST", 1 << 30) >> 24, os.pipe()
        for _ in range(most):
            if os.fork() == 0:
                held = bytearray(b"x") * (1 << 24)
                os.write(writing, b".")
                time.sleep(600)
        def count():
            for _ in range(most): os.read(reading, 1)
            print("more than its flavor", flush=True)
            os._exit(0)
        threading.Thread(target=count, daemon=True).start()
        os.wait()
        os._exit(1)
    """,
    "shared by name": """
        held = []
        while len(held) << 24 < globals().get("MOST", 1 << 40):
            fd = os.memfd_create("x"); os.write(fd, b"x" * (1 << 24)); held.append(fd)
        print("more than its flavor")
    """,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["its own", "of many", "shared by name"])
async def test_an_app_that_takes_too_much_memory_is_ended_alone_or_doctor_says_that_it_is_not(
    rig: HostileRig, neighbour: UnitSpec, kind: str
) -> None:
    """Where no group limits memory, a process is refused more; what many have, and what has but a name, nobody stops."""
    is_limited = "memory" not in found_by_doctor(rig)["limits"].follows
    code = MEMORY[kind] if is_limited else f"MOST = {640 << 20}\n{textwrap.dedent(MEMORY[kind])}"

    async def trial() -> None:
        bomb = await rig.attack(code, limit_s=60)
        assert bomb.exit is not None, bomb
        if is_limited:
            assert bomb.exit.oom and str(bomb.exit) == "out of memory", bomb
        elif kind == "its own":
            assert not bomb.exit.is_success and "MemoryError" in bomb.said, bomb
        else:
            assert bomb.exit.is_success and bomb.said == "more than its flavor\n", bomb

    await while_the_neighbour_answers(rig, neighbour, trial)


async def test_an_app_that_wants_every_processor_has_its_own_or_doctor_says_that_it_has_all(
    rig: HostileRig, neighbour: UnitSpec
) -> None:
    async def trial() -> None:
        bomb = await rig.attack(SPINNERS, flavor="XS")
        assert bomb.exit is not None and bomb.exit.is_success, bomb
        used = float(bomb.said.split()[1])
        print(f"a bomb of flavor XS had {used:.2f} processors;", end=" ")
        assert used <= 1.3 or "cpu" in found_by_doctor(rig)["limits"].follows, "flavor XS has one"

    await while_the_neighbour_answers(rig, neighbour, trial)


SPINNERS = """
def spin():
    until = time.monotonic() + 3
    while time.monotonic() < until: pass
    os._exit(0)
began = time.monotonic()
children = [pid for pid in (os.fork() for _ in range(6)) if pid or spin()]
for pid in children: os.waitpid(pid, 0)
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print("processors", (spent.ru_utime + spent.ru_stime) / (time.monotonic() - began))
"""


async def test_what_the_kernel_gives_a_user_is_an_apps_own_or_doctor_says_that_all_share_it(rig: HostileRig) -> None:
    hoarder = await rig.start(rig.spec(PRELUDE + INOTIFY + "print('hoarded', flush=True)\ntime.sleep(600)"))
    with anyio.fail_after(60):
        while "hoarded" not in tail(hoarder.log):
            await anyio.sleep(0.05)
    other = await rig.attack(INOTIFY + "print('had', len(held))")
    await rig.engine.stop(hoarder.id, grace_s=0)
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    is_shared = int(other.said.split()[1]) < min(most, MOST_INOTIFY)
    assert is_shared != found_by_doctor(rig)["own users"].ok or most > 2 * MOST_INOTIFY, other.said


MOST_INOTIFY = 500
INOTIFY = f"""
held = []
while len(held) < {MOST_INOTIFY} and (fd := libc.inotify_init1(0)) >= 0: held.append(fd)
"""


FILLERS = {
    "bytes": """
        for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/home/bas", "."):
            try:
                with open(place + "/fill", "wb") as f:
                    while True: f.write(b"x" * (1 << 16))
            except OSError as error:
                if error.errno != errno.ENOSPC: leak(f"{place}: {error!r}")
        print(sum(os.stat(p + "/fill").st_size for p in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/home/bas", ".")))
    """,
    "files": """
        made = 0
        for place in ("/tmp", "."):
            try:
                while True: os.close(os.open(f"{place}/{made}", os.O_CREAT | os.O_WRONLY)); made += 1
            except OSError as error:
                if error.errno != errno.ENOSPC: leak(f"{place}: {error!r}")
        print(made)
    """,
}  # fmt: skip


@pytest.mark.parametrize("kind", FILLERS)
async def test_an_app_that_fills_its_disk_fills_its_own(rig: HostileRig, neighbour: UnitSpec, kind: str) -> None:
    free = os.statvfs(rig.paths.data)

    async def trial() -> None:
        filler = await rig.attack(FILLERS[kind], limit_s=60)
        assert filler.leaks == [] and filler.exit is not None and filler.exit.is_success, filler
        most = 128 * 1024**2 if kind == "bytes" else 16_384
        assert 0 < int(filler.said.split()[-1]) <= most

    await while_the_neighbour_answers(rig, neighbour, trial)
    assert os.statvfs(rig.paths.data).f_favail > free.f_favail - 2000


SEEN: dict[str, tuple[str, Callable[[Strain], bool]]] = {
    "fork": (BOMBS["fork"], lambda seen: seen.forks_refused > 0 or seen.is_crowded),
    "thread": (BOMBS["thread"], lambda seen: seen.forks_refused > 0 or seen.is_crowded),
    "bytes": (FILLERS["bytes"], lambda seen: seen.is_full),
    "files": (FILLERS["files"], lambda seen: seen.has_all_files),
}
LARGE = """
children = [os.fork() for _ in range(3)]
held = bytearray(b"x") * (160 << 20)
try:
    os.wait()  # whichever of them is ended for want of memory, the first one hears of it
    raise SystemExit(1)
except ChildProcessError:
    time.sleep(600)
"""


@pytest.mark.parametrize("kind", SEEN)
async def test_which_bound_an_app_came_up_against_is_seen_from_outside(
    rig: HostileRig, neighbour: UnitSpec, kind: str
) -> None:
    code, is_seen = SEEN[kind]
    size = "XS" if kind in MUST_FILL else "pico"
    bomb = await rig.start(rig.spec(PRELUDE + textwrap.dedent(code) + "\ntime.sleep(600)", flavor=size))
    with anyio.fail_after(60):
        while not is_seen(await rig.engine.strain(bomb.id)):
            await anyio.sleep(0.1)
    calm = await rig.engine.strain(neighbour.id)
    assert calm == Strain(), "who does nothing strains nothing"
    await rig.engine.stop(bomb.id, grace_s=0)
    assert await rig.engine.strain(bomb.id) == Strain()


async def test_more_memory_than_a_flavor_has_is_the_end_or_is_seen_from_outside(rig: HostileRig) -> None:
    bomb = await rig.start(rig.spec(PRELUDE + LARGE, flavor="nano"))
    with anyio.fail_after(60):
        while (
            not ((unit := await rig.engine.get(bomb.id)) and unit.exit)
            and not (await rig.engine.strain(bomb.id)).is_large
        ):
            await anyio.sleep(0.1)
    is_limited = "memory" not in found_by_doctor(rig)["limits"].follows
    assert unit is not None and (unit.exit is not None and unit.exit.oom) == is_limited
    await rig.engine.stop(bomb.id, grace_s=0)


async def test_visitors_who_hold_every_connection_of_an_app_are_seen_and_hold_none_of_its_neighbour(
    rig: HostileRig, neighbour: UnitSpec
) -> None:
    """As ordinary users may open 1024 files on some machines, the connections are held by other processes."""
    besieged = await rig.start(
        rig.spec(PRELUDE + "s = socket.create_server(('0.0.0.0', 8080), backlog=4096)\n" + HOLDS)
    )
    await rig.engine.accept(besieged.id)
    crowd: list[subprocess.Popen[bytes]] = []

    async def trial() -> None:
        try:
            with anyio.fail_after(60):
                while not ((unit := await rig.engine.get(besieged.id)) and unit.is_beset):
                    if len(crowd) < 12:
                        crowd.append(subprocess.Popen([sys.executable, "-c", CROWD, str(besieged.listen)]))
                    await anyio.sleep(0.1)
        finally:
            for each in crowd:
                each.kill()
                each.wait()
        with anyio.fail_after(60):
            while (unit := await rig.engine.get(besieged.id)) is None or unit.is_beset:
                await anyio.sleep(0.1)

    await while_the_neighbour_answers(rig, neighbour, trial)
    calm = await rig.engine.get(neighbour.id)
    assert calm is not None and not calm.is_beset
    await rig.engine.stop(besieged.id, grace_s=0)


HOLDS = """
held = []
while True:
    held.append(s.accept()[0])
"""
CROWD = """
import socket, sys, time
held = []
for _ in range(500):
    one = socket.socket(socket.AF_UNIX)
    one.connect(sys.argv[1])
    one.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 1000000\\r\\n\\r\\n")
    held.append(one)
time.sleep(600)
"""


# builds write to the disk

BUILDS = {
    "bytes": ("open('.cache/fill', 'wb').truncate(1)\nwith open('.cache/fill', 'ab') as f:\n    while True: f.write(b'x' * (1 << 20))",
              "the build cache has more than 96 MiB"),
    "many files": ("n = 0\nwhile True:\n    open(f'.cache/{n}', 'w').close(); n += 1", "the build cache has more than 3000 files"),
    "deep folders": ("os.chdir('.cache')\nfor _ in range(3000): os.mkdir('d' * 8); os.chdir('d' * 8)\ntime.sleep(600)",
                     "the build cache: folders are nested too deep"),
    "hidden folders": ("os.mkdir('.cache/x')\nfor n in range(4000): open(f'.cache/x/{n}', 'w').close()\nos.chmod('.cache/x', 0)\ntime.sleep(600)",
                       "the build cache has more than 3000 files"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BUILDS)
async def test_a_build_that_writes_too_much_is_stopped_and_it_is_said(rig: HostileRig, kind: str) -> None:
    from havre.drivers import disk

    code, words = BUILDS[kind]
    spec = await rig.start(rig.build_spec("os.chdir('/home/bas')\n" + code, (96 * 1024**2, 3000), deadline_s=60))
    with anyio.fail_after(90):
        ended = await rig.engine.wait(spec.id)
    assert ended.quota == words, (ended, spec.log.read_text())
    folder = spec.binds[-1].source
    assert disk.size_bytes(folder) < 2048 * 1024**2
    disk.remove(folder)
    assert not folder.exists()


# the monitor


async def test_an_app_cannot_outlive_its_monitor(rig: HostileRig) -> None:
    spec = await rig.start(rig.spec(
        "import os, signal, time\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
        "for _ in range(20):\n    if os.fork() == 0: os.setsid(); time.sleep(600)\nprint('up', flush=True); time.sleep(600)"
    ))  # fmt: skip
    with anyio.fail_after(60):
        while "up" not in spec.log.read_text():
            await anyio.sleep(0.05)
    unit = await rig.engine.get(spec.id)
    assert unit is not None and unit.pid is not None
    below = [each for each in children_of(unit.pid)]
    os.kill(unit.pid, signal.SIGKILL)
    with anyio.fail_after(20):
        while any(Path(f"/proc/{each}").exists() for each in below):
            await anyio.sleep(0.05)
    assert len(below) > 20


def children_of(pid: int) -> Iterator[int]:
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(each)
        yield from children_of(int(each))


# both modes


def found_by_doctor(rig: HostileRig) -> dict[str, doctor.Finding]:
    return {each.what: each for each in doctor.examine(Config(), rig.paths, running=True)}


ABOUT_ISOLATION = {"namespaces", "own users", "limits", "system calls", "way out"}


async def test_what_this_mode_cannot_give_is_named_by_doctor_and_nothing_else(rig: HostileRig) -> None:
    found = {what: each for what, each in found_by_doctor(rig).items() if what in ABOUT_ISOLATION}
    assert set(found) == ABOUT_ISOLATION
    lacking = {what: each for what, each in found.items() if not each.ok}
    if IS_ROOT:  # on a machine that has control groups and nftables; one that has not is named, too
        assert set(lacking) <= {"limits", "way out"}
    else:
        is_delegated = found["limits"].ok
        expected = (
            {"own users"} | ({"limits"} - {"limits" if is_delegated else ""}) | (set() if HAS_PASTA else {"way out"})
        )
        assert set(lacking) == expected
        assert lacking["own users"].seen == "one user for all apps"
        assert is_delegated or lacking["limits"].follows.startswith("no limit for memory, cpu:")
    assert all(each.follows for each in lacking.values())


@pytest.mark.skipif(not IS_ROOT, reason="this is the trial as an ordinary user")
def test_all_of_it_as_an_ordinary_user() -> None:
    done = as_ordinary_user([sys.executable, "-m", "pytest", "-q", "tests/room/test_room_hostile.py"], limit_s=270)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
