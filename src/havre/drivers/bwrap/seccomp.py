"""The system calls that no unit may make, as a classic BPF program for bubblewrap's `--seccomp`.

A denylist: what needs no privilege and serves an application stays. Numbers are the kernel's, per
architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). Sockets are of four families:
the others are no part of a network namespace (AF_VSOCK leads to the host and its hypervisor) or serve no application
(AF_ALG, AF_PACKET and their like).
"""

from __future__ import annotations

import platform
import struct

_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _ERRNO_EPERM, _ERRNO_ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_ERRNO_EAFNOSUPPORT = 0x00050061
_FIRST_ARGUMENT = 16  # struct seccomp_data, the low half on little-endian machines
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_X32_BIT = 0x40000000

_X86_64 = {
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "swapon": 167, "swapoff": 168, "reboot": 169,
    "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176,
    "finit_module": 313, "quotactl": 179, "acct": 163, "settimeofday": 164, "adjtimex": 159, "clock_adjtime": 305,
    "clock_settime": 227, "kexec_load": 246, "kexec_file_load": 320, "add_key": 248, "request_key": 249, "keyctl": 250,
    "unshare": 272, "setns": 308, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "open_by_handle_at": 304, "name_to_handle_at": 303, "lookup_dcookie": 212,
    "syslog": 103, "uselib": 134, "nfsservctl": 180, "vmsplice": 278, "move_pages": 279, "mbind": 237,
    "migrate_pages": 256, "set_mempolicy": 238, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "fanotify_init": 300, "vhangup": 153, "modify_ldt": 154, "quotactl_fd": 443,
    "set_mempolicy_home_node": 450, "open_tree_attr": 467,
}  # fmt: skip
_AARCH64 = {
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "swapon": 224, "swapoff": 225, "reboot": 142,
    "sethostname": 161, "setdomainname": 162, "init_module": 105, "delete_module": 106, "finit_module": 273,
    "quotactl": 60, "acct": 89, "settimeofday": 170, "adjtimex": 171, "clock_adjtime": 266, "clock_settime": 112,
    "kexec_load": 104, "kexec_file_load": 294, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97,
    "setns": 268, "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "open_by_handle_at": 265, "name_to_handle_at": 264, "lookup_dcookie": 18,
    "syslog": 116, "nfsservctl": 42, "vmsplice": 75, "move_pages": 239, "mbind": 235, "migrate_pages": 238,
    "set_mempolicy": 237, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "fanotify_init": 262, "vhangup": 58, "quotactl_fd": 443, "set_mempolicy_home_node": 450, "open_tree_attr": 467,
}  # fmt: skip
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64, (41, 53)), "aarch64": (0xC00000B7, _AARCH64, (198, 199))}


# what a program that builds images does inside its own namespaces
_NESTING = frozenset(
    {
        "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "sethostname", "setdomainname", "open_tree",
        "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "name_to_handle_at",
    }
)  # fmt: skip


def program(machine: str | None = None, *, nests: bool = False) -> bytes | None:
    """The BPF program for `machine` (this one by default); None for an architecture without a table.

    nests: namespaces and mounts are allowed, which reach no further than the unit's own users.
    io_uring answers ENOSYS, so that runtimes fall back, another family of sockets EAFNOSUPPORT, the rest EPERM.
    """
    found = _ARCHITECTURES.get(machine or platform.machine())
    if found is None:
        return None
    audit_arch, calls, sockets = found
    body = [each for number in sockets for each in _only_families(number)]
    for name, number in sorted(calls.items(), key=lambda each: each[1]):
        if nests and name in _NESTING:
            continue
        verdict = _ERRNO_ENOSYS if name.startswith("io_uring") else _ERRNO_EPERM
        body += [_code(_JUMP_EQUAL, 0, 1, number), _code(_RETURN, 0, 0, verdict)]
    head = [
        _code(_LOAD, 0, 0, 4),
        _code(_JUMP_EQUAL, 1, 0, audit_arch),
        _code(_RETURN, 0, 0, _KILL),
        _code(_LOAD, 0, 0, 0),
        _code(_JUMP_GREATER, 0, 1, _X32_BIT),
        _code(_RETURN, 0, 0, _ERRNO_ENOSYS),
    ]
    return b"".join([*head, *body, _code(_RETURN, 0, 0, _ALLOW)])


def _only_families(number: int) -> list[bytes]:
    """socket and socketpair: the family is their first argument."""
    allowed = [_code(_JUMP_EQUAL, len(FAMILIES) - index, 0, family) for index, family in enumerate(FAMILIES)]
    return [
        _code(_JUMP_EQUAL, 0, len(FAMILIES) + 3, number),
        _code(_LOAD, 0, 0, _FIRST_ARGUMENT),
        *allowed,
        _code(_RETURN, 0, 0, _ERRNO_EAFNOSUPPORT),
        _code(_RETURN, 0, 0, _ALLOW),
    ]


def _code(operation: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)
