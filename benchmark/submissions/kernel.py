"""Limits that the kernel enforces for the rest of a process's life: no new process or program, no network.

On Linux with x86-64 or ARM64; elsewhere these functions return False and change nothing.
"""

import ctypes
import errno
import platform
import signal
import struct
import sys
from typing import NamedTuple


class Calls(NamedTuple):
    """Numbers of an architecture's system calls.

    Attributes:
        architecture: the kernel's AUDIT_ARCH_* constant.
        refused: fork, vfork, execve, execveat, socket, ptrace, process_vm_readv and process_vm_writev, those of them
            that the architecture has.
        memory: memfd_create, memfd_secret and shmget, whose memory counts towards no limit of a process.
        other_numbering: a bit of the number that marks the same calls under another numbering, 0 where there is none:
            x32 on x86-64, whose calls have the architecture of the native ones.
    """

    architecture: int
    clone: int
    clone3: int
    refused: tuple[int, ...]
    memory: tuple[int, ...]
    other_numbering: int = 0


CALLS = {
    "x86_64": Calls(
        0xC000003E,
        56,
        435,
        refused=(57, 58, 59, 322, 41, 101, 310, 311),
        memory=(319, 447, 29),
        other_numbering=0x40000000,
    ),
    "aarch64": Calls(0xC00000B7, 220, 435, refused=(221, 281, 198, 117, 270, 271), memory=(279, 447, 194)),
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


def refuse_processes(*, allows_memory: bool) -> bool:
    """A seccomp filter: no new process (threads are allowed), no other program or process's memory, no socket. Cannot
    be undone.

    Args:
        allows_memory: whether memory that counts towards no limit is allowed.
    """
    calls = CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return False
    code = filter_program(calls, allows_memory=allows_memory)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p).value)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(prctl(_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0)


def filter_program(calls: Calls, *, allows_memory: bool) -> bytes:
    """Return the seccomp filter as classic BPF instructions on the kernel's `struct seccomp_data`.

    That has the call's number at byte 0, the architecture at 4, and the arguments, of eight bytes each, from 16 on.
    """
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    lines = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, calls.architecture),
        refuse,
        (_LOAD, 0, 0, 0),
    ]
    if calls.other_numbering:
        lines += [(_JUMP_IF_SET, 0, 1, calls.other_numbering), refuse]
    lines += [
        # The C library then falls back to clone, whose flags a filter can read.
        (_JUMP_IF_EQUAL, 0, 1, calls.clone3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    for number in calls.refused if allows_memory else calls.refused + calls.memory:
        lines += [(_JUMP_IF_EQUAL, 0, 1, number), refuse]
    lines += [
        (_JUMP_IF_EQUAL, 0, 3, calls.clone),
        (_LOAD, 0, 0, 16),
        (_JUMP_IF_SET, 1, 0, _CLONE_THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
