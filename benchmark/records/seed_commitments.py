"""Commit to the seed of a test split before anybody is scored on it, and reveal the seed later: `test-seeds.json`.

A commitment is the SHA-256 of a file with the seed, a random salt and the tasks. Published first, it binds whoever
knows the file: no other seed, salt or tasks have this hash. It also hides the seed, because the salt cannot be guessed.
"""

import datetime
import json
import os
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmark.errors import BenchmarkError, UsageError
from benchmark.records.schema import Digest, Name, canonical, sha256
from css_gen.storage import locking
from css_gen.storage.atomic import write_atomically

NAME: Final = "test-seeds.json"
"""Beside the folder of records."""

SHORT: Final = 8
"""Digits of a commitment in names of files."""

_SEED_BYTES = 6
_SALT_BYTES = 32


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class SecretSeed(_Part):
    """A seed, the salt that hides it, and the tasks whose test splits are rendered from it."""

    seed: Annotated[int, Field(ge=0, lt=2**53)]
    salt: Digest
    tasks: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]

    @classmethod
    def draw(cls, tasks: tuple[str, ...]) -> Self:
        """Draw a seed and a salt from the operating system's randomness."""
        return cls(seed=int.from_bytes(os.urandom(_SEED_BYTES)), salt=os.urandom(_SALT_BYTES).hex(), tasks=tasks)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file that `content` was written to. Raises BenchmarkError if it is another file."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
        except ValidationError:
            raise BenchmarkError(
                f"{path}: expected a JSON object of seed, salt and tasks, as `tirg-bench rerank --commit` writes it"
            ) from None

    def content(self) -> bytes:
        return canonical(self.model_dump(mode="json")) + b"\n"

    @property
    def commitment(self) -> str:
        """The SHA-256 of `content`; `sha256sum` prints the same for its file."""
        return sha256(self.content())


class Revealed(_Part):
    """What a commitment hid, and since when it is public."""

    seed: int
    salt: Digest
    date: datetime.date


class CommittedSeed(_Part):
    """A commitment, whose SHA-256 is its key in the file. `revealed` is None as long as the seed is secret."""

    tasks: tuple[Name, ...]
    committed: datetime.date
    revealed: Revealed | None = None

    def fits(self, commitment: str) -> bool:
        """Return whether the revealed seed is the one that was committed to; True while it is secret."""
        if self.revealed is None:
            return True
        secret = SecretSeed(seed=self.revealed.seed, salt=self.revealed.salt, tasks=self.tasks)
        return secret.commitment == commitment


_File = TypeAdapter(dict[Digest, CommittedSeed])


def read(path: Path) -> dict[str, CommittedSeed]:
    """Read all commitments, the earliest first; there are none without a file.

    Raises:
        BenchmarkError: the file is damaged, or a revealed seed is not the one that was committed to.
    """
    try:
        found = _File.validate_json(path.read_bytes())
        wrong = [commitment for commitment, each in found.items() if not each.fits(commitment)]
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError):
        raise BenchmarkError(f"{path}: not a list of commitments to test seeds; restore it") from None
    if wrong:
        raise BenchmarkError(
            f"{path}: the seed revealed for {wrong[0][:SHORT]} is not the one committed to: its SHA-256 differs; "
            "restore the file"
        )
    return dict(sorted(found.items(), key=lambda item: (item[1].committed, item[0])))


def commit(secret: SecretSeed, secret_file: Path, path: Path) -> str:
    """Write the secret to its file, readable by its owner alone, and its commitment to `path`; return the commitment.

    Raises:
        UsageError: there is a file already under the name of the secret's.
        BenchmarkError: a file cannot be written, or `path` is damaged. Nothing is left behind then.
    """
    if secret_file.exists():
        raise UsageError(f"{secret_file}: exists, and may hold the secret of another commitment; name another file")
    mask = os.umask(0o077)
    try:
        write_atomically(secret_file, secret.content())
    except OSError as error:
        raise BenchmarkError(f"{secret_file}: cannot be written ({error.strerror}); name another file") from None
    finally:
        os.umask(mask)
    try:
        _add(path, secret.commitment, CommittedSeed(tasks=secret.tasks, committed=_today()))
    except BaseException:
        secret_file.unlink(missing_ok=True)
        raise
    return secret.commitment


def reveal(secret_file: Path, path: Path) -> str:
    """Publish the seed and the salt of a secret in `path`, unless they are there; return the commitment.

    Raises:
        BenchmarkError: `path` has no such commitment, or a file cannot be read or written.
    """
    secret = SecretSeed.read(secret_file)
    known = read(path).get(secret.commitment)
    if known is None:
        raise BenchmarkError(
            f"{secret_file}: its SHA-256 is {secret.commitment[:SHORT]}..., which {path} does not have: the seed, the "
            "salt or the tasks are not those that were committed to"
        )
    if known.revealed is None:
        opened = Revealed(seed=secret.seed, salt=secret.salt, date=_today())
        _add(path, secret.commitment, known.model_copy(update={"revealed": opened}))
    return secret.commitment


def _add(path: Path, commitment: str, entry: CommittedSeed) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locking.held(path.with_name(f".{NAME}.lock"), timeout=-1):
            entries = read(path) | {commitment: entry}
            values = {key: each.model_dump(mode="json", exclude_none=True) for key, each in entries.items()}
            write_atomically(path, (json.dumps(values, indent=2) + "\n").encode())
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be written ({error.strerror}); check the folder") from None


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
