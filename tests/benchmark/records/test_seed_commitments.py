"""A commitment is the SHA-256 of the secret's file, hides the seed, and binds: nothing else can be revealed for it."""

import hashlib
import json
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError, UsageError
from benchmark.records import seed_commitments
from benchmark.records.seed_commitments import SecretSeed

SALT = "5a" * 32
SECRET = SecretSeed(seed=12, salt=SALT, tasks=("css", "css-chain"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "leaderboards" / seed_commitments.NAME


@pytest.fixture
def committed(tmp_path: Path, place: Path) -> Path:
    """The file of a secret whose commitment is published."""
    file = tmp_path / "secret.json"
    seed_commitments.commit(SECRET, file, place)
    return file


def test_it_is_the_hash_of_the_file(committed: Path, place: Path) -> None:
    text = f'{{"salt":"{SALT}","seed":12,"tasks":["css","css-chain"]}}\n'
    assert committed.read_text() == text
    (commitment,) = json.loads(place.read_text())
    assert commitment == hashlib.sha256(text.encode()).hexdigest()


def test_what_is_published_hides_the_secret(tmp_path: Path, place: Path) -> None:
    secret = SecretSeed.draw(("css",))
    assert secret != SecretSeed.draw(("css",))
    seed_commitments.commit(secret, tmp_path / "secret.json", place)
    assert str(secret.seed) not in place.read_text()
    assert secret.salt not in place.read_text()
    assert (tmp_path / "secret.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "other",
    [{"seed": 13}, {"salt": "5b" + SALT[2:]}, {"tasks": ("css",)}, {"tasks": ("css-chain", "css")}],
    ids=str,
)
def test_nothing_else_can_be_revealed(other: dict[str, object], committed: Path, place: Path) -> None:
    published = place.read_bytes()
    committed.write_bytes(SECRET.model_copy(update=other).content())
    with pytest.raises(BenchmarkError, match=r"secret\.json: its SHA-256 is .*are not those that were committed to"):
        seed_commitments.reveal(committed, place)
    assert place.read_bytes() == published


def test_spelling_does_not_matter(committed: Path, place: Path) -> None:
    committed.write_text(json.dumps(json.loads(committed.read_text()), indent=4))
    commitment = seed_commitments.reveal(committed, place)
    revealed = seed_commitments.read(place)[commitment].revealed
    assert revealed is not None
    assert (revealed.seed, revealed.salt) == (12, SALT)
    published = place.read_bytes()
    assert seed_commitments.reveal(committed, place) == commitment
    assert place.read_bytes() == published


def test_a_revealed_seed_cannot_be_edited(committed: Path, place: Path) -> None:
    seed_commitments.reveal(committed, place)
    place.write_text(place.read_text().replace('"seed": 12', '"seed": 13'))
    with pytest.raises(BenchmarkError, match=r"test-seeds\.json: the seed revealed for .* is not the one committed to"):
        seed_commitments.read(place)


def test_commitments_are_kept_beside_each_other(committed: Path, tmp_path: Path, place: Path) -> None:
    seed_commitments.commit(SecretSeed.draw(("css",)), tmp_path / "second.json", place)
    first = seed_commitments.reveal(committed, place)
    found = seed_commitments.read(place)
    assert len(found) == 2
    assert [key for key, each in found.items() if each.revealed] == [first]


def test_no_secret_is_overwritten_or_left_without_its_commitment(committed: Path, tmp_path: Path, place: Path) -> None:
    before = committed.read_bytes()
    with pytest.raises(UsageError, match="exists, and may hold the secret of another commitment"):
        seed_commitments.commit(SecretSeed.draw(("css",)), committed, place)
    assert committed.read_bytes() == before
    place.write_text("damaged")
    with pytest.raises(BenchmarkError, match="not a list of commitments"):
        seed_commitments.commit(SecretSeed.draw(("css",)), tmp_path / "second.json", place)
    assert not (tmp_path / "second.json").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"seed": -1, "salt": "00", "tasks": []}', "[1]"])
def test_another_file_is_no_secret(text: str, committed: Path, place: Path) -> None:
    committed.write_text(text)
    with pytest.raises(BenchmarkError, match="expected a JSON object of seed, salt and tasks"):
        seed_commitments.reveal(committed, place)
