"""Every parser of ours, on inputs changed at random: it returns, or raises an error that it names, and nothing else.

`make fuzz` tries more inputs, and, where atheris is installed, searches for those that reach new code.

    python tests/faults/test_fuzz.py [SECONDS [PARSER]]
"""

import copy
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if __name__ == "__main__":
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed (pip install -e '.[fuzz]'), so no search for inputs that reach new code")
    sys.path.insert(0, str(Path(__file__).parents[2]))
    with atheris.instrument_imports(include=["css_gen", "benchmark"]):
        from tests.faults.parsers import PARSERS
else:
    from tests.faults.parsers import PARSERS

EXAMPLES = int(os.environ.get("FUZZ", "20"))
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**70, 0.5, 1e308, "", " ", "a", "\0", "\ud800", "../x", "1" * 5_000, [], [[]], {},
    {"": 0}, ["a", 1], [None],
)  # fmt: skip
TOKENS = (
    b"",
    b"\0",
    b"\xff",
    b"{",
    b"[",
    b"[" * 3_000,
    b'"',
    b",",
    b"9" * 5_000,
    b"1e999",
    b"NaN",
    b"-",
    b"=",
    b"\n",
    b"\t",
)


def changed(content: bytes, rng: random.Random) -> bytes:
    """Change a value somewhere inside of JSON, or bytes anywhere."""
    if rng.random() < 0.05:
        return rng.choice(TOKENS)
    for _ in range(rng.randint(0, 3)):
        try:
            values = json.loads(content) if rng.random() < 0.7 else None
        except (ValueError, RecursionError):
            values = None
        content = _with_other_bytes(content, rng) if values is None else json.dumps(_with_another(values, rng)).encode()
    return content


def _with_another(values: Any, rng: random.Random) -> Any:
    """A copy in which one value, at any depth, is another, is gone, or is there twice."""
    if not isinstance(values, dict | list) or not values or rng.random() < 0.15:
        return copy.deepcopy(rng.choice(ODD))
    keys = list(values) if isinstance(values, dict) else range(len(values))
    key, values = rng.choice(keys), copy.copy(values)
    what = rng.random()
    if what < 0.1:
        del values[key]
    elif what < 0.2 and isinstance(values, list):
        values.insert(key, copy.deepcopy(values[key]))
    elif what < 0.2:
        values[rng.choice(("", "x", "type", "a" * 300))] = values[key]
    else:
        values[key] = _with_another(values[key], rng)
    return values


def _with_other_bytes(content: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randint(0, len(content)) for _ in range(2))
    middle = rng.choice((rng.choice(TOKENS), content[first:last] * 2, bytes(rng.randrange(256) for _ in range(3))))
    if rng.random() < 0.5:
        last = min(len(content), first + rng.randint(0, 2))
    return content[:first] + middle + content[last:]


def attempt(name: str, content: bytes) -> None:
    """Parse a content in an empty folder; any error that the parser does not name passes through."""
    parser = PARSERS[name]
    with tempfile.TemporaryDirectory() as root:
        try:
            parser.parse(content, Path(root))
        except parser.errors:
            return


@pytest.mark.parametrize("name", PARSERS)
def test_valid_inputs_are_read(name: str, tmp_path: Path) -> None:
    """Otherwise all that is tried below would fail at the door."""
    parser, read = PARSERS[name], 0
    for number, content in enumerate(parser.seeds()):
        (tmp_path / f"{number}").mkdir()
        try:
            parser.parse(content, tmp_path / f"{number}")
            read += 1
        except parser.errors:
            continue
    assert read


@pytest.mark.parametrize("name", PARSERS)
def test_odd_inputs_are_read_or_refused(name: str) -> None:
    for content in (*TOKENS, *(json.dumps(value).encode() for value in ODD)):
        attempt(name, content)


@pytest.mark.parametrize("name", PARSERS)
@settings(
    max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None, derandomize="FUZZ" not in os.environ
)
@given(rng=st.randoms(use_true_random=False), place=st.integers(0, 7))
def test_changed_inputs_are_read_or_refused(name: str, rng: random.Random, place: int) -> None:
    seeds = PARSERS[name].seeds()
    attempt(name, changed(seeds[place % len(seeds)], rng))


def search(name: str, seconds: int) -> None:
    """Search for inputs that reach new code, for so many seconds. A failure prints its input."""

    def change(content: bytes, longest: int, seed: int) -> bytes:
        return changed(content, random.Random(seed))[:longest]

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(PARSERS[name].seeds()):
            (Path(corpus) / f"{number}").write_bytes(content)
        arguments = [
            f"-max_total_time={seconds}",
            "-max_len=20000",
            f"-artifact_prefix={corpus}/",
            "-rss_limit_mb=4000",
        ]
        atheris.Setup([sys.argv[0], *arguments, corpus], lambda content: attempt(name, content), custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if len(sys.argv) > 2:
        search(sys.argv[2], seconds)
    for each in PARSERS:  # a search ends its process
        subprocess.run([sys.executable, __file__, str(seconds), each], check=True)
