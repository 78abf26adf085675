"""The hash of a composer that extends another one depends on both files."""

from hashlib import sha256
from pathlib import Path

from benchmark.records.code_version import composer_sha256
from models.ablations import tirg as variants
from models.composers import tirg


def hash_of(file: str | None) -> str:
    assert file is not None
    return sha256(Path(file).read_bytes()).hexdigest()


def test_a_variant_ages_with_its_composer() -> None:
    own, composers = hash_of(variants.__file__), hash_of(tirg.__file__)
    assert composer_sha256(variants.GateOnly) == sha256(f"{own}{composers}".encode()).hexdigest()
    assert composer_sha256(tirg.Tirg) == composers
