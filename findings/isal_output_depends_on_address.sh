#!/usr/bin/env bash
# isal 1.9.1 (ISA-L): on x86-64, compressed bytes depend on where the compressor is in memory.
#
# Levels 1 and 2 now and then compress the same data to other bytes: valid ones, which decompress to the same data, but
# another file. It depends on the address of the compressor, which Linux draws for each process, and which moves with
# whatever was allocated before. Whoever compares files, their checksums or signatures sees one in many thousands differ:
#
#     isal_zlib.compressobj(1) at one address        one output
#     isal_zlib.compressobj(1) at any other          another output
#
# `isal_deflate_icf_body_hash_hist` (igzip/igzip_icf_body_h1_gr_bt.asm) looks up two positions at a time, and keeps the
# hashes of the next two. Where a stream begins, under `.write_first_byte`, it takes the hash of the third position from
# `tmp2`, into which the code of level 0 (igzip_body.asm, `tmp6`) has put the data. Here that register, rcx, still has the
# function's argument, the address of the stream. The third position is so entered into the hash table at
# crc32c(address >> 16) % 8192, and where the entry of the first position is there, later matches with it are lost. Of
# 9,000 compressors in a process, 0 to 2 gave other bytes for a picture of 224 x 224 pixels. isal_zlib.compress has its
# stream on the stack, at one address in a thread, and does the same. In intel/isa-l#140 somebody asks for output that is
# always the same.
#
# With a SYNC_FLUSH after the first 4 to 16 bytes they go through another function, which hashes the data.
#
# The script installs isal in a temporary folder, makes compressors, and writes text whose first four letters have the
# hash of the first compressor's address. It compresses that text with each, and fails if isal behaves otherwise. Seen
# with Python 3.11 on Linux (AMD EPYC):
#
#     isal 1.9.1
#     level 1: the first compressor's output differs from the 20 others'
#     level 1, flushed after 8 bytes: 1 output
#     level 0: 1 output
#     as described
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check isal==1.9.1

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import itertools
import platform
import string
import sys
import zlib
from collections import Counter

import isal
from isal import isal_zlib

BEFORE_STREAM = 256  # bytes; more than a compressor has before its stream
if platform.machine() not in ("x86_64", "AMD64"):
    sys.exit("this is about the code for x86-64")
print("isal", isal.__version__)


def slot(number):
    """The entry of isal's hash table for 32 bits: the last 13 bits of their CRC-32C."""
    for _ in range(32):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number % 2**13


def compressors(level):
    """Compressors at different addresses, the stream of the first on the 64 KiB that its id says."""
    made = [isal_zlib.compressobj(level) for _ in range(21)]
    first = next(one for one in made if id(one) >> 16 == id(one) + BEFORE_STREAM >> 16)
    return [first, *(one for one in made if one is not first)]


def text_for(compressor):
    """Forty lines that begin with the same four letters, which have the hash of the compressor's address."""
    wanted = slot(id(compressor) >> 16 & 0xFFFFFFFF)
    words = (bytes(letters) for letters in itertools.product(string.ascii_lowercase.encode(), repeat=4))
    word = next(word for word in words if slot(int.from_bytes(word, "little")) == wanted)
    return b"".join(word + b" is the start of line %d\n" % line for line in range(40))


def outputs(level, flushed):
    """What each compressor makes of the first one's text."""
    made = compressors(level)
    text, found = text_for(made[0]), []
    for one in made:
        start = 8 if flushed else 0
        written = one.compress(text[:start]) + one.flush(isal_zlib.Z_SYNC_FLUSH) if flushed else b""
        found.append(written + one.compress(text[start:]) + one.flush())
        assert zlib.decompress(found[-1]) == text
    return found


first, *others = outputs(1, flushed=False)
usual, times = Counter(others).most_common(1)[0]
print(f"level 1: the first compressor's output {'differs from' if first != usual else 'is'} the {times} others'")
flushed, lowest = len(set(outputs(1, flushed=True))), len(set(outputs(0, flushed=False)))
print(f"level 1, flushed after 8 bytes: {flushed} output{'s' if flushed > 1 else ''}")
print(f"level 0: {lowest} output{'s' if lowest > 1 else ''}")
as_described = first != usual and times >= 18 and flushed == 1 and lowest == 1
print("as described" if as_described else "isal behaves otherwise now")
sys.exit(not as_described)
PYTHON
