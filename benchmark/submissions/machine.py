"""Errors of the machine, which say nothing about a submission or a record."""

import errno

from benchmark.device import is_out_of_memory

_NUMBERS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}
)


class MachineError(Exception):
    """A base of errors that say that time, memory or disk space ran out."""


def is_of_the_machine(error: BaseException) -> bool:
    """Tell whether time, memory or disk space ran out, or a disk failed; also as the cause of another error."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MachineError) or is_out_of_memory(found):
            return True
        if isinstance(found, OSError) and found.errno in _NUMBERS:
            return True
        found = found.__cause__
    return False
