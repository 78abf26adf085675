"""The seccomp filter, run by a small interpreter of classic BPF: no call is made, only decided on."""

import errno
import struct

import pytest

from benchmark.submissions.kernel import CALLS, filter_program

ALLOWED, REFUSED, ABSENT = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
THREAD = 0x10000
X86, X86_32, ARM = 0xC000003E, 0x40000003, 0xC00000B7

NUMBERS = {
    "x86_64": {
        "read": 0, "mmap": 9, "futex": 202, "openat": 257,
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "socket": 41, "ptrace": 101, "clone": 56, "clone3": 435,
        "process_vm_readv": 310, "process_vm_writev": 311, "memfd_create": 319, "memfd_secret": 447, "shmget": 29,
    },
    "aarch64": {
        "read": 63, "mmap": 222, "futex": 98, "openat": 56,
        "execve": 221, "execveat": 281, "socket": 198, "ptrace": 117, "clone": 220, "clone3": 435,
        "process_vm_readv": 270, "process_vm_writev": 271, "memfd_create": 279, "memfd_secret": 447, "shmget": 194,
    },
}  # fmt: skip
"""From the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)."""
MEMORY = ("memfd_create", "memfd_secret", "shmget")
HARMLESS = ("read", "mmap", "futex", "openat")


def decision(
    machine: str, number: int, *, architecture: int | None = None, flags: int = 0, allows_memory: bool = False
) -> int:
    """What the filter returns for a call."""
    calls = CALLS[machine]
    data = struct.pack("=IIQQ", number, calls.architecture if architecture is None else architecture, 0, flags)
    program = list(struct.iter_unpack("=HBBI", filter_program(calls, allows_memory=allows_memory)))
    accumulator, place = 0, 0
    while True:
        operation, if_true, if_false, value = program[place]
        place += 1
        if operation == 0x06:  # return a constant
            return int(value)
        if operation == 0x20:  # load a word
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation == 0x15:  # jump if equal
            place += if_true if accumulator == value else if_false
        elif operation == 0x45:  # jump if any of these bits is set
            place += if_true if accumulator & value else if_false
        else:
            raise AssertionError(f"no such instruction: {operation:#x}")


@pytest.mark.parametrize("machine", CALLS)
def test_the_named_calls_are_refused_and_others_are_not(machine: str) -> None:
    for name, number in NUMBERS[machine].items():
        expected = {"clone3": ABSENT}.get(name, ALLOWED if name in HARMLESS else REFUSED)
        assert decision(machine, number) == expected, name
    assert decision(machine, NUMBERS[machine]["clone"], flags=THREAD | 0xF00) == ALLOWED
    assert decision(machine, NUMBERS[machine]["clone"], flags=0x11) == REFUSED


@pytest.mark.parametrize("machine", CALLS)
def test_exactly_the_named_numbers_are_refused(machine: str) -> None:
    """Over all numbers there are, and beyond."""
    for allows_memory in (False, True):
        refused = {
            number for number in range(1_000) if decision(machine, number, allows_memory=allows_memory) != ALLOWED
        }
        harmless = (*HARMLESS, *MEMORY) if allows_memory else HARMLESS
        assert refused == {number for name, number in NUMBERS[machine].items() if name not in harmless}


@pytest.mark.parametrize("machine", CALLS)
def test_calls_of_another_architecture_are_refused(machine: str) -> None:
    for architecture in {X86, X86_32, ARM} - {CALLS[machine].architecture}:
        for number in NUMBERS[machine].values():
            assert decision(machine, number, architecture=architecture) == REFUSED


def test_the_x32_numbering_is_refused_as_a_whole() -> None:
    """x32 has the architecture of x86-64 and a bit in the number, so every call has a second number."""
    for number in range(1_000):
        assert decision("x86_64", number | 1 << 30, flags=THREAD) == REFUSED
    assert decision("x86_64", 0xFFFFFFFF) == REFUSED
