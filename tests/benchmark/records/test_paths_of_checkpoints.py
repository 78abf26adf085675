"""Any path that a system allows is a checkpoint's, and none of them reaches a table."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmark.leaderboard.files import write_leaderboards
from benchmark.records.making import stored_file
from benchmark.records.schema import StoredFile
from benchmark.records.store import read_stored, save_record
from tests.benchmark.made_up import make_outcomes, make_record

FOLDERS = {
    "long": "/".join(["a folder with a rather long name"] * 12),
    "a formula": "=1+1",
    "an option": "-rf",
    "at": "@runs",
    "a space first": " runs",
    "accents": "läufe",
}


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS)
def test_a_run_in_an_odd_folder_has_a_record(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(folder, "model.safetensors")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"model")
    file = stored_file(path)
    assert Path(file.path).read_bytes() == b"model", "it is found again"
    outcomes = make_outcomes(seed=0)
    record = make_record(outcomes).model_copy(update={"checkpoint": file})
    saved = save_record(record, outcomes, tmp_path / "boards" / "records")
    assert read_stored(saved).record.checkpoint == file
    write_leaderboards(tmp_path / "boards" / "records", tmp_path / "boards")
    for page in (*(tmp_path / "boards").glob("*.csv"), *(tmp_path / "boards").glob("*.md")):
        assert file.path not in page.read_text()


@pytest.mark.parametrize(
    ("name", "shown"), [(b"new\nline", r"new\nline"), (b"caf\xe9", r"caf\udce9"), (b"\x1b[31m", r"\x1b[31m")]
)
def test_what_a_terminal_or_json_cannot_take_is_an_escape(name: bytes, shown: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"model")
    file = stored_file(path)
    assert file.path == str(tmp_path / shown)
    assert StoredFile.model_validate_json(file.model_dump_json()) == file


@pytest.mark.parametrize("path", ["", "a\nb", "\x1b[31m", "x" * 5000])
def test_a_record_that_was_edited_cannot_bring_others(path: str) -> None:
    with pytest.raises(ValidationError):
        StoredFile(path=path, sha256="ab" * 32)
