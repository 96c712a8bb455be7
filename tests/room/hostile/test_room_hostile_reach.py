"""Apps that want what others have and what is the kernel's: they reach none of it."""

from __future__ import annotations

import os

import pytest

from havre.kernel.units import UnitSpec
from tests.hostile_rig import SECRET, HostileRig

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(280)]


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
