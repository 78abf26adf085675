"""Injects one fault into every Python process that has this folder on its PYTHONPATH and FAULT (JSON) set.

Faults count a process's file events: files opened for writing, renames, removals, folders made or removed, and fsyncs,
all below one folder. An event is counted before it happens, so a process that is killed at event n did n - 1 of them.
"""

import errno
import json
import os
import pkgutil
import resource
import signal
import sys
from itertools import count

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def install(fault):
    """Have this process suffer a fault.

    Args:
        fault: {} for none, or these keys.
            "below": the folder whose events count.
            "signal", "event": which signal this process sends, before which event.
            "signal", "call", "name": the same before a call of the function of that full name.
            "to": who gets the signal: "self" (the default), or "group" for all processes of the command.
            "flipped" or "cut", "event": the bit of the file, or the bytes it is cut to: [path, number].
            "largest": the kernel kills this process when a file grows beyond so many bytes, in the middle of a write.
            "limit": the same, but the write fails.
            "of": "parent" or "worker" if only those processes suffer.
            "refused": {"fsync" or "flock": the name of the error that it ends with}.
            "count": a file that the number of events is written to when the process ends.
    """
    role = "worker" if any("spawn_main" in word for word in sys.orig_argv) else "parent"
    if fault.get("of", role) != role:
        return
    for name, code in fault.get("refused", {}).items():
        _refuse(name, getattr(errno, code))
    for name in {"largest", "limit"} & fault.keys():
        if name == "largest":  # Python ignores the signal
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault[name], fault[name]))
    if "name" in fault:
        _before_call(fault["name"], fault["call"], fault)
    if "event" in fault or "count" in fault:
        _watch_files(fault)


def _watch_files(fault):
    below, done = fault["below"], count(1)

    def happens(path):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(below):
            return
        number = next(done)
        if number == fault.get("event"):
            _strike(fault)
        if "count" in fault:
            os.pwrite(counted, f"{number:<9}".encode(), 0)

    def audit(event, arguments):
        if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITES):
            happens(arguments[0])

    counted = os.open(fault["count"], os.O_CREAT | os.O_WRONLY) if "count" in fault else -1
    real = os.fsync

    def fsync(descriptor):
        happens(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        real(descriptor)

    os.fsync = fsync
    sys.addaudithook(audit)


def _strike(fault):
    if "signal" in fault and fault.get("to") == "group":
        os.killpg(0, fault["signal"])
    elif "signal" in fault:
        os.kill(os.getpid(), fault["signal"])
    elif "cut" in fault:
        os.truncate(*fault["cut"])
    else:
        path, bit = fault["flipped"]
        with open(path, "r+b") as file:  # noqa: PTH123
            file.seek(bit // 8)
            byte = file.read(1)[0]
            file.seek(bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))


def _before_call(name, call, fault):
    place, _, attribute = name.rpartition(".")
    owner, done = pkgutil.resolve_name(place), count(1)
    real = getattr(owner, attribute)

    def killing(*arguments, **options):
        if next(done) == call:
            _strike(fault)
        return real(*arguments, **options)

    setattr(owner, attribute, killing)


def _refuse(name, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    if name == "flock":
        import fcntl

        fcntl.flock = refuse
    else:
        os.fsync = refuse


if "FAULT" in os.environ:
    install(json.loads(os.environ["FAULT"]))
