"""Errors of the machine, which say nothing about a submission."""

import errno

from benchmark.device import is_out_of_memory

_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EIO, errno.EROFS, errno.ENFILE}


def is_of_the_machine(error: BaseException) -> bool:
    """Tell whether memory or disk space ran out, or a disk failed."""
    return is_out_of_memory(error) or (isinstance(error, OSError) and error.errno in _NUMBERS)
