"""Send a trained model with its record and card to the Hugging Face Hub, and fetch one to search with.

A repository holds `model.safetensors`, `README.md`, and the record with the outcome of every query under `records/`.
Neither the file of the model nor the record runs code when it is read. The composer's code is that of `models/`, so
a model of a submission or of a local file is not sent.
"""

import hashlib
import shutil
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple

import models
from benchmark import tasks
from benchmark.errors import BenchmarkError
from benchmark.records.code_version import composer_sha256
from benchmark.records.schema import StoredFile
from benchmark.records.store import StoredRecord, read_stored, save_record
from benchmark.runs.single_run import MODEL_NAME, model_place
from benchmark.search.model_card import eval_results, model_card
from benchmark.training.checkpoint import Checkpoint
from css_gen import hub
from css_gen.storage.atomic import write_atomically
from models import registry

RECORDS = "records"
CARD_NAME = "README.md"


class Pulled(NamedTuple):
    """A model that was fetched.

    Attributes:
        model: its file.
        stored: its record, as it is stored here now.
        note: what differs here from where it was trained; "" if nothing is known to.
    """

    model: Path
    stored: StoredRecord
    note: str


def record_of(model: Path, records: Path) -> StoredRecord:
    """Find the record of a model's file, and check that it is of this very file.

    Raises:
        BenchmarkError: the file is not a model, there is no record of its run, or that is of another file.
    """
    run = Checkpoint.read(model).run
    path = run.identity.find(records)
    if path is None:
        raise BenchmarkError(
            f"{records} has no record of {run} with recipe {run.recipe.hash[:8]} on data {run.fingerprint[:8]}, and "
            "results come from the record; name the leaderboards that hold it with --out"
        )
    stored = read_stored(path)
    record = stored.record
    if record.checkpoint is None or record.checkpoint.sha256 != _sha256(model):
        raise BenchmarkError(f"{path}: is the record of another file than {model}; its results are not of this model")
    if record.submission or record.is_local or record.composer.name not in models.names():
        raise BenchmarkError(
            f"{model}: its composer {record.composer.name} is not one of models/, and a model is loaded only with its "
            "composer's code; add the composer to models/composers and train it again"
        )
    return stored


def model_files(model: Path, records: Path, repo: str, *, dataset: str | None = None) -> hub.Files:
    """Return what the Hub gets of a model, by path.

    Args:
        records: the folder with its record.
        dataset: the repository of the data; adds a file that the leaderboard of that repository reads.

    Raises:
        BenchmarkError: as `record_of`.
    """
    stored = record_of(model, records)
    place = PurePosixPath(RECORDS) / stored.record.place.as_posix()
    files: dict[str, Path | bytes] = {
        CARD_NAME: model_card(stored, repo, dataset=dataset).encode(),
        MODEL_NAME: model,
        f"{place}.json": stored.path,
        f"{place}.parquet": stored.path.parent / stored.record.ranks.path,
    }
    if dataset:
        files[f".eval_results/{stored.record.protocol}.yaml"] = eval_results(stored.record, dataset).encode()
    return files


def push_model(
    model: Path, records: Path, repo: str, *, dataset: str | None = None, private: bool = False
) -> hub.Pushed:
    """Send a model to a repository, in one commit; the record of an earlier model is removed in it.

    Raises:
        BenchmarkError: as `record_of`.
        UsageError, HubError: see `hub.push`.
    """
    files = model_files(model, records, repo, dataset=dataset)
    run = Checkpoint.read(model).run
    return hub.push(
        repo, "model", files, message=f"{run}", private=private,
        is_stale=lambda path: path.startswith((f"{RECORDS}/", ".eval_results/")),
    )  # fmt: skip


def pull_model(repo: str, runs: Path, *, replace: bool = False) -> Pulled:
    """Fetch a model to where `tirg-bench run` would have left it, and its record to `records/` in `runs`.

    Args:
        replace: whether another record of the same run may be replaced.

    Raises:
        BenchmarkError: the repository holds no model with its record, they do not belong together, its task or its
            composer does not exist here, or `runs` holds another record of this run.
        UsageError, HubError: see `hub.fetch`.
    """
    folder = hub.fetch(repo, "model", [MODEL_NAME, f"{RECORDS}/*"])
    model = folder / MODEL_NAME
    if not model.is_file() or not (folder / RECORDS).is_dir():
        raise BenchmarkError(f"{repo}: holds no model of `tirg-bench push`: expected {MODEL_NAME} and its record")
    run, digest = Checkpoint.read(model).run, _sha256(model)
    if run.task not in tasks.names() or run.composer not in models.names():
        raise BenchmarkError(f"{repo}: is of {run}, and there is no such task or composer here; update css-bench")
    # The cache holds links, and the place of a record is part of what is checked.
    with TemporaryDirectory(prefix="tirg-bench-pull-") as name:
        copied = Path(shutil.copytree(folder / RECORDS, Path(name) / RECORDS))
        path = run.identity.find(copied)
        stored = read_stored(path) if path else None
    if stored is None or stored.record.checkpoint is None or stored.record.checkpoint.sha256 != digest:
        raise BenchmarkError(f"{repo}: has no record of its {MODEL_NAME}; whoever pushed it has to push it again")
    record, content = stored.record, model.read_bytes()
    place = model_place(runs / record.place, content, replace=replace)
    kept = record.model_copy(update={"checkpoint": StoredFile(path=str(place), sha256=digest)})
    path = save_record(kept, stored.outcomes, runs / RECORDS, replace=replace)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(place, content)
    is_changed = composer_sha256(registry.get(run.composer)) != record.composer_sha256
    note = f"models/composers/{run.composer}.py is not what it was trained with" if is_changed else ""
    return Pulled(place, read_stored(path), note)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
