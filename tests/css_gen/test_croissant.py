"""croissant.json: mlcroissant validates it and reads what css_gen reads; `verify` and `--repair` know it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest
import yaml

from css_gen import dataset
from css_gen.dataset import Dataset
from css_gen.render import render
from css_gen.repair import repair
from css_gen.storage.configuration import Configuration
from css_gen.storage.croissant import describe
from css_gen.storage.geometry_columns import to_row
from css_gen.storage.manifest import read_manifest
from css_gen.storage.schema import image_columns
from css_gen.verify import verify
from tests.conftest import CssGen

ROOT = Path(__file__).parents[2]
# mlcroissant 1.1.1 calls what pandas 3.1 and rdflib 7.6 have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
every_dataset = pytest.mark.parametrize("name", ["css", "css-relation", "css with every column"])
Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def roots(tiny_dataset: Path, rich_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    track = tmp_path_factory.mktemp("relation") / "css-relation"
    render(track, Configuration(images=60, size=32, seed=3, track="relation"), jobs=1)
    return {"css": tiny_dataset, "css-relation": track, "css with every column": rich_dataset}


@pytest.fixture
def tiny_values(tiny_copy: Path) -> dict[str, Any]:
    return json.loads((tiny_copy / "croissant.json").read_text())


def read(root: Path, record_set: str, filters: dict[str, str] | None = None) -> Records:
    """Read a record set as its users do. Texts come as UTF-8."""
    records = mlcroissant.Dataset(root / "croissant.json").records(record_set, filters)
    return [
        {name: value.decode() if isinstance(value, bytes) else value for name, value in record.items()}
        for record in records
    ]


def plain(value: Any) -> Any:
    """A value as numbers, strings and lists; mlcroissant gives arrays and bytes in them."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | np.ndarray):
        return [plain(each) for each in value]
    return value


def of_split(records: Records, record_set: str, split: str) -> Records:
    return [record for record in records if record[f"{record_set}/split"] == split]


def counts(opened: Dataset, what: str) -> dict[str, int]:
    return {name: getattr(opened.split(name).counts, what) for name in opened.split_names}


@every_dataset
def test_it_is_valid_and_lacks_nothing_but_a_date(roots: dict[str, Path], name: str) -> None:
    issues = mlcroissant.Dataset(roots[name] / "croissant.json").metadata.ctx.issues
    assert issues.errors == set()
    assert len(issues.warnings) == 1
    assert "datePublished" in next(iter(issues.warnings))


@every_dataset
def test_mlcroissant_reads_the_images_that_css_gen_reads(roots: dict[str, Path], name: str) -> None:
    opened = dataset.open(roots[name])
    columns = image_columns(opened.manifest.configuration)
    assert len(columns) == (4 if "every" in name else 2)
    assert ("geometry" in opened.manifest.configuration.extras) == ("every" in name)
    records = read(roots[name], "images")
    assert len(records) == opened.manifest.configuration.images
    for split_name, count in counts(opened, "images").items():
        found, split = of_split(records, "images", split_name), opened.split(split_name)
        assert count > 10
        assert [record["images/image_id"] for record in found] == list(range(count))
        assert [record["images/key"] for record in found] == split.keys
        assert [record["images/is_reference"] for record in found] == split.is_reference
        for image_id, (record, expected) in enumerate(zip(found, split.iter_images(columns), strict=True)):
            assert record["images/scene"] == split.scene(image_id).to_json()
            if "every" in name:
                for column, value in to_row(split.geometry(image_id)).items():
                    assert plain(record[f"images/{column}"]) == value, column
            for column, pixels in zip(columns, expected, strict=True):
                decoded = np.array(record[f"images/{column}"])
                assert decoded.dtype == pixels.dtype
                np.testing.assert_array_equal(decoded, pixels)


@every_dataset
def test_mlcroissant_reads_the_queries_that_css_gen_reads(roots: dict[str, Path], name: str) -> None:
    opened = dataset.open(roots[name])
    records = read(roots[name], "queries")
    assert len(records) == sum(counts(opened, "queries").values())
    for split_name, count in counts(opened, "queries").items():
        assert count > 0
        expected = [query.to_json() for query in opened.split(split_name).queries]
        for query in expected:
            if "distractors" in query:
                pairs = query.pop("distractors")
                query["distractor_ids"] = [image for _, image in pairs]
                query["distractor_why"] = [why for why, _ in pairs]
        assert any("distractor_ids" in query for query in expected) == (name == "css-relation")
        found = [
            {
                column.removeprefix("queries/"): [each.decode() if isinstance(each, bytes) else each for each in value]
                if isinstance(value, list)
                else value
                for column, value in record.items()
                if column != "queries/split"
            }
            for record in of_split(records, "queries", split_name)
        ]
        assert found == expected
        assert len(found) == count


@pytest.mark.parametrize("record_set", ["images", "queries"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_is_read_alone(tiny_dataset: Path, record_set: str, split: str) -> None:
    found = read(tiny_dataset, record_set, {f"{record_set}/split": split})
    assert len(found) == counts(dataset.open(tiny_dataset), record_set)[split]
    assert of_split(found, record_set, split) == found


def test_the_splits_are_named_by_what_they_are_for(tiny_dataset: Path) -> None:
    found = {record["splits/name"]: record["splits/url"] for record in read(tiny_dataset, "splits")}
    assert found == {"train": "cr:TrainingSplit", "test": "cr:TestSplit"}
    for record_set in mlcroissant.Dataset(tiny_dataset / "croissant.json").metadata.record_sets:
        references = [field.references.field for field in record_set.fields if field.references.field]
        assert references == ([] if record_set.id == "splits" else ["splits/name"])


def test_mlcroissant_is_silent_where_a_pattern_has_no_matches_so_that_counts_have_to_be_asserted(
    tiny_copy: Path,
) -> None:
    shutil.rmtree(tiny_copy / "test")
    for record_set in ("images", "queries"):
        assert read(tiny_copy, record_set, {f"{record_set}/split": "test"}) == []
        assert {record[f"{record_set}/split"] for record in read(tiny_copy, record_set)} == {"train"}


@every_dataset
def test_every_data_file_is_listed_with_its_size_and_checksum(roots: dict[str, Path], name: str) -> None:
    files = json.loads((roots[name] / "croissant.json").read_text())["distribution"]
    listed = {each["contentUrl"]: each for each in files if each["@type"] == "cr:FileObject"}
    assert set(listed) == {path.relative_to(roots[name]).as_posix() for path in roots[name].glob("*/*.parquet")}
    for path, each in listed.items():
        content = (roots[name] / path).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert each["contentSize"] == f"{len(content)} B"


def test_it_is_a_function_of_the_manifest(tiny_dataset: Path, tiny_values: dict[str, Any]) -> None:
    manifest = read_manifest(tiny_dataset)
    assert describe(manifest) == describe(manifest) == tiny_values
    assert tiny_values["identifier"] == manifest.fingerprint
    other = describe(replace(manifest, configuration=replace(manifest.configuration, track="relation")))
    assert (other["name"], tiny_values["name"]) == ("css-relation", "css")
    assert "hard track" in other["description"]


def test_it_cites_what_the_repository_cites(tiny_values: dict[str, Any]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (paper,) = citation["references"]
    authors = " and ".join(f"{each['family-names']}, {each['given-names']}" for each in paper["authors"])
    for text in (paper["title"], authors, str(paper["year"]), paper["conference"]["name"], citation["title"]):
        assert f"={{{text}}}" in tiny_values["citeAs"]
    assert tiny_values["creator"]["name"] == citation["authors"][0]["name"]
    assert citation["license"] in tiny_values["license"]
    assert tiny_values["version"] == citation["version"]


def test_the_responsible_ai_fields_reach_mlcroissant(tiny_dataset: Path) -> None:
    metadata = mlcroissant.Dataset(tiny_dataset / "croissant.json").metadata
    assert metadata.conforms_to == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert "not collected" in metadata.data_collection
    assert '"seed": 3' in metadata.data_collection
    assert metadata.personal_sensitive_information[0].startswith("None")
    written = json.loads((tiny_dataset / "croissant.json").read_text())
    read_again = metadata.to_json()
    expected = {name for name in written if name.startswith("rai:")}
    assert len(expected) >= 10
    assert expected <= read_again.keys()


def test_a_bare_checkout_has_no_version(tiny_copy: Path) -> None:
    values = describe(replace(read_manifest(tiny_copy), generator_version="unknown"))
    assert "version" not in values
    (tiny_copy / "croissant.json").write_text(json.dumps(values))
    assert mlcroissant.Dataset(tiny_copy / "croissant.json").metadata.ctx.issues.errors == set()


def test_a_dataset_of_an_earlier_version_stays_valid_and_repair_adds_the_file(
    tiny_copy: Path, tiny_dataset: Path, run_css_gen: CssGen, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    (tiny_copy / "croissant.json").unlink()
    assert verify(tiny_copy, jobs=1) == []
    ran = run_css_gen("verify", tiny_copy, "--repair", "--jobs", 1)
    assert ran.exit_code == 0
    assert "repaired: croissant.json" in ran.output
    assert contents(tiny_copy) == contents(tiny_dataset)
    assert repair(tiny_copy, jobs=1) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:100], "cannot be read"),
        (lambda _: "[]", "cannot be read"),
        (lambda _: '{"distribution": ["train"]}', "cannot be read"),
        (lambda text: text.replace('"sha256": "', '"sha256": "0', 1), "its checksums are not the manifest's"),
        (lambda text: text.replace('"cr:FileObject"', '"cr:File"', 1), "its checksums are not the manifest's"),
    ],
)
def test_damage_is_named_and_repaired(
    change: Callable[[str], str], problem: str, tiny_copy: Path, tiny_dataset: Path
) -> None:
    path = tiny_copy / "croissant.json"
    path.write_text(change(path.read_text()))
    assert [str(each) for each in verify(tiny_copy, jobs=1)] == [f"croissant.json: {problem}"]
    assert repair(tiny_copy, jobs=1) == ["croissant.json"]
    assert path.read_bytes() == (tiny_dataset / "croissant.json").read_bytes()


def test_a_croissant_file_of_someone_else_is_left_alone(tmp_path: Path, run_css_gen: CssGen) -> None:
    (tmp_path / "croissant.json").write_text("mine")
    ran = run_css_gen("render", "--n", 24, "--size", 16, "--out", tmp_path, "--jobs", 1)
    assert ran.exit_code == 1
    assert "holds files that css-gen did not make (croissant.json)" in ran.stderr
    assert (tmp_path / "croissant.json").read_text() == "mine"
