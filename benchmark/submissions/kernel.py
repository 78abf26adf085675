"""What the kernel refuses a process from here on, for good: other processes, other programs, and the network.

Linux on x86-64 and ARM64 alone; elsewhere these functions say that they did nothing.
"""

import ctypes
import errno
import platform
import signal
import struct
import sys
from typing import NamedTuple


class _Calls(NamedTuple):
    """Numbers of system calls; -1 where the architecture has no such call."""

    architecture: int
    clone: int
    clone3: int
    refused: tuple[int, ...]
    """fork, vfork, execve, execveat, socket, ptrace."""


_CALLS = {
    "x86_64": _Calls(0xC000003E, clone=56, clone3=435, refused=(57, 58, 59, 322, 41, 101)),
    "aarch64": _Calls(0xC00000B7, clone=220, clone3=435, refused=(221, 281, 198, 117)),
}
_CLONE_THREAD, _CLONE_NEWUSER, _CLONE_NEWNET = 0x10000, 0x10000000, 0x40000000
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 1, 38, 22, 2
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def leave_network() -> bool:
    """Move this process, which must have one thread, to a network of its own without any connection."""
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    return bool(unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def refuse_processes() -> bool:
    """A seccomp filter: no new process (threads are allowed), no other program, no socket. Cannot be undone."""
    calls = _CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return False
    code = _filter(calls)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p).value)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)


def _filter(calls: _Calls) -> bytes:
    """Instructions of classic BPF on the kernel's `struct seccomp_data` (number at 0, architecture at 4, arguments
    from 16 on)."""
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    lines = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, calls.architecture),
        refuse,
        (_LOAD, 0, 0, 0),
        # The C library then falls back to clone, whose flags a filter can read.
        (_JUMP_IF_EQUAL, 0, 1, calls.clone3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    for number in calls.refused:
        lines += [(_JUMP_IF_EQUAL, 0, 1, number), refuse]
    lines += [
        (_JUMP_IF_EQUAL, 0, 3, calls.clone),
        (_LOAD, 0, 0, 16),
        (_JUMP_IF_SET, 1, 0, _CLONE_THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
