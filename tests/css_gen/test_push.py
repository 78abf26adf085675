"""`css-gen push`: what the Hub gets of a dataset, in one commit, and what it is told when that cannot work."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

import css_gen
from css_gen import hub as css_gen_hub
from css_gen.render import render
from css_gen.storage.card import card
from css_gen.storage.configuration import Configuration
from css_gen.storage.croissant import describe
from css_gen.storage.manifest import read_manifest
from css_gen.verify import verify
from tests.conftest import CssGen
from tests.css_gen.one_line import assert_one_line
from tests.hub_stand_in import LARGE, TOKEN, Hub, standing_in

# huggingface_hub 2.4 uploads by a way that its HTTP client has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "datasets/me/css"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with standing_in(monkeypatch, tmp_path / "cache") as found:
        yield found


def test_the_hub_gets_the_files_of_the_manifest_and_nothing_else(
    hub: Hub, tiny_copy: Path, run_css_gen: CssGen
) -> None:
    for name in (".env", "notes.txt", ".images-16.npy", "train/images-00000-of-00099.parquet", ".cache/key"):
        (tiny_copy / name).parent.mkdir(exist_ok=True)
        (tiny_copy / name).write_text("private")
    result = run_css_gen("push", tiny_copy, "me/css")
    assert result.exit_code == 0, result.output
    held = hub.repositories[REPO].files
    manifest = read_manifest(tiny_copy)
    assert held.keys() == manifest.files.keys() | {"README.md", "manifest.json", "croissant.json"}
    assert len(manifest.files) == 10
    for name in (*manifest.files, "manifest.json"):
        assert held[name] == (tiny_copy / name).read_bytes()
    assert json.loads(held["croissant.json"]) == describe(manifest)
    assert f"{hub.endpoint}/{REPO}: commit {hub.repositories[REPO].commits[-1][:12]}" in result.stdout
    assert len(hub.repositories[REPO].commits) == 2
    assert not hub.repositories[REPO].private


def test_what_is_fetched_again_is_the_dataset(hub: Hub, tiny_dataset: Path, run_css_gen: CssGen) -> None:
    assert run_css_gen("push", tiny_dataset, "me/css", "--private").exit_code == 0
    assert hub.repositories[REPO].private
    fetched = css_gen_hub.fetch("me/css", "dataset", ["*"])
    assert verify(fetched, jobs=1) == []
    assert css_gen.open_dataset(fetched).fingerprint == css_gen.open_dataset(tiny_dataset).fingerprint


LOAD = """
import datasets, sys
for name in ("images", "queries"):
    rows = datasets.load_dataset("me/css", name, split=sys.argv[1])
    print(len(rows), *rows["key" if name == "images" else "text"], sep="\\n")
"""


@pytest.mark.slow
def test_datasets_loads_the_newest_rendering_from_the_hub(
    hub: Hub, tiny_dataset: Path, tmp_path: Path, run_css_gen: CssGen
) -> None:
    """In a process of its own, as the address of the Hub is read when `datasets` is imported; with one cache."""
    other = tmp_path / "css"
    render(other, Configuration(images=24, size=16, seed=9), jobs=1)
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    for folder in (tiny_dataset, other):
        assert run_css_gen("push", folder, "me/css").exit_code == 0
        for name in ("train", "test"):
            split = css_gen.open_dataset(folder).split(name)
            loaded = subprocess.run([sys.executable, "-c", LOAD, name], env=environment, capture_output=True, text=True)
            assert loaded.returncode == 0, loaded.stderr
            texts = [query.text for query in split.queries]
            assert loaded.stdout.splitlines() == [str(len(split)), *split.keys, str(len(texts)), *texts]


def test_a_second_push_sends_nothing(hub: Hub, tiny_dataset: Path, run_css_gen: CssGen) -> None:
    run_css_gen("push", tiny_dataset, "me/css")
    commits, stored = list(hub.repositories[REPO].commits), list(hub.stored)
    result = run_css_gen("push", tiny_dataset, "me/css")
    assert result.exit_code == 0
    assert "nothing to send, it is already there" in result.stdout
    assert (hub.repositories[REPO].commits, hub.stored) == (commits, stored)


def test_an_interrupted_push_commits_nothing_and_resumes(hub: Hub, tiny_dataset: Path, run_css_gen: CssGen) -> None:
    hub.refuse_after = 3
    assert_last_line(run_css_gen("push", tiny_dataset, "me/css"), "the connection was lost", "to resume")
    assert hub.repositories[REPO].files == {}
    hub.refuse_after = 10**9
    assert run_css_gen("push", tiny_dataset, "me/css").exit_code == 0
    large = {name for name in hub.repositories[REPO].files if name.endswith(LARGE)}
    assert len(hub.stored) == len(set(hub.stored)) == len(large) == 10


def test_data_files_of_another_rendering_are_removed_in_the_same_commit(
    hub: Hub, tiny_dataset: Path, run_css_gen: CssGen
) -> None:
    """The card reads train/images-*.parquet: a shard that stayed would be loaded with the new ones."""
    stale = {
        f"{split}/images-{shard:05d}-of-00005.parquet": b"old" for split in ("train", "test") for shard in range(5)
    }
    kept = dict.fromkeys((".gitattributes", "LICENSE", "extra/images-00000-of-00005.parquet", "train/a.txt"), b"mine")
    run_css_gen("push", tiny_dataset, "me/css")
    held = hub.repositories[REPO].files
    hub.repositories[REPO].files = stale | kept | dict.fromkeys(held, b"old")
    assert run_css_gen("push", tiny_dataset, "me/css").exit_code == 0
    assert hub.repositories[REPO].files == held | kept
    assert len(hub.repositories[REPO].commits) == 3


def test_what_somebody_else_commits_meanwhile_is_not_overwritten(
    hub: Hub, tiny_dataset: Path, run_css_gen: CssGen
) -> None:
    hub.is_shared = True
    assert_last_line(run_css_gen("push", tiny_dataset, "me/css"), "somebody else has committed to it meanwhile")
    assert hub.repositories[REPO].files == {}


def test_a_gitignore_on_the_hub_cannot_leave_data_out_in_silence(
    hub: Hub, tiny_dataset: Path, run_css_gen: CssGen
) -> None:
    run_css_gen("push", tiny_dataset, "me/css")
    hub.repositories[REPO].files = {".gitignore": b"*.parquet"}
    assert_last_line(
        run_css_gen("push", tiny_dataset, "me/css"), "left out test/images-00000-of-00004.parquet and 9 more"
    )


def test_a_dry_run_lists_every_file_without_token_or_request(
    hub: Hub, tiny_dataset: Path, run_css_gen: CssGen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    result = run_css_gen("push", tiny_dataset, "me/css", "--dry-run")
    assert result.exit_code == 0
    assert hub.requests == []
    heading, *lines = result.stdout.splitlines()
    listed = {name: int(size.replace(",", "")) for size, name in map(str.split, lines)}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run_css_gen("push", tiny_dataset, "me/css")
    assert listed == {name: len(content) for name, content in hub.repositories[REPO].files.items()}
    assert f"{sum(listed.values()):,} bytes, to the dataset me/css" in heading


@pytest.mark.parametrize("how", ["no token", "wrong token", "elsewhere", "no network", "offline", "down"])
def test_what_is_missing_is_said_in_one_line(
    hub: Hub, tiny_dataset: Path, run_css_gen: CssGen, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    repo, expected = "me/css", ""
    if how == "no token":
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
        expected = "there is no token for the Hugging Face Hub: log in with `hf auth login`"
    elif how == "wrong token":
        monkeypatch.setenv("HF_TOKEN", "hf_another")
        expected = "the token is not valid; log in again"
    elif how == "elsewhere":
        repo, expected = "you/css", "the token may not write there"
    elif how == "down":
        hub.is_down = True
        expected = "the Hub answered 503 (maintenance until noon): run the same command again to resume"
    elif how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        expected = "cannot be reached (Cannot reach"
    else:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
        expected = "http://127.0.0.1:1 cannot be reached"
    assert_one_line(run_css_gen("push", tiny_dataset, repo), 1, expected)
    assert hub.repositories == {}


@pytest.mark.parametrize("repo", ["css", "me/css/train", "me/a--b", "me/", "../css", "me/css.git", "me/c s"])
def test_a_name_that_is_none_is_wrong_usage(repo: str, hub: Hub, tiny_dataset: Path, run_css_gen: CssGen) -> None:
    assert_one_line(run_css_gen("push", tiny_dataset, repo), 2, "expected USER/NAME, such as me/css")
    assert hub.requests == []


def test_without_huggingface_hub_it_says_how_to_install_it(
    tiny_dataset: Path, run_css_gen: CssGen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", None)
    assert_one_line(run_css_gen("push", tiny_dataset, "me/css"), 1, "pip install 'css-bench[hub]'")


@pytest.mark.parametrize("break_it", ["truncate", "change", "remove", "edit the manifest"])
def test_a_damaged_dataset_is_not_sent(break_it: str, hub: Hub, tiny_copy: Path, run_css_gen: CssGen) -> None:
    path = tiny_copy / "test" / "images-00001-of-00004.parquet"
    content = bytearray(path.read_bytes())
    if break_it == "truncate":
        path.write_bytes(content[:-1])
    elif break_it == "change":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif break_it == "remove":
        path.unlink()
    else:
        path = tiny_copy / "manifest.json"
        path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))
    assert_one_line(run_css_gen("push", tiny_copy, "me/css"), 1, str(path), "--repair")
    assert hub.requests == []


def test_the_metadata_of_the_card_are_the_words_that_were_meant(tiny_dataset: Path) -> None:
    """YAML reads no, on, 1.10 and 12 as other than text where they are not quoted."""
    manifest = read_manifest(tiny_dataset)
    text = card(manifest, place="me/css")
    header = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert header
    values = yaml.safe_load(header[1])
    assert [each for each in leaves(values) if not isinstance(each, str)] == [True]  # the default configuration
    assert values["configs"][0]["description"] == f"fingerprint {manifest.fingerprint}"
    assert text.count('load_dataset("me/css", ') == 2
    assert 'load_dataset("path/to/this/folder", ' in card(manifest)


def leaves(value: Any) -> list[Any]:
    """The values of a nested structure that hold no others."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for each in inner for leaf in leaves(each)]
    return [value]


def assert_last_line(result: Any, *parts: str) -> None:
    """A push that fails on its way has shown progress before its one line."""
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("css-gen: error: me/css: ")
    for part in parts:
        assert part in last
