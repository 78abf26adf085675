"""croissant.json: a description of a dataset that search engines and mlcroissant read (Croissant 1.1, JSON-LD)."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from css_gen.storage.atomic import write_atomically
from css_gen.storage.card import about_track
from css_gen.storage.configuration import Configuration
from css_gen.storage.geometry_columns import COLUMNS as GEOMETRY_COLUMNS
from css_gen.storage.manifest import Manifest
from css_gen.storage.schema import DEPTH_STEPS, image_schema, query_schema

CROISSANT_NAME = "croissant.json"
_PARQUET = "application/x-parquet"
_TYPES = {pa.int64(): "cr:Int64", pa.string(): "sc:Text", pa.bool_(): "sc:Boolean", pa.float64(): "cr:Float64"}
_FILES = {"images": "images-*.parquet", "queries": "queries.parquet"}
"""The files of each record set in the folder of a split."""

_SPLITS = {"train": "cr:TrainingSplit", "test": "cr:TestSplit"}

_SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+")

# Names that belong to Croissant, each with a prefix; Croissant's readers expect every one, used or not.
_CROISSANT_NAMES = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _CROISSANT_NAMES},
}

_CITATION = """\
@inproceedings{vo2019composing,
  title={Composing Text and Image for Image Retrieval - An Empirical Odyssey},
  author={Vo, Nam and Jiang, Lu and Sun, Chen and Murphy, Kevin and Li, Li-Jia and Fei-Fei, Li and Hays, James},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2019}
}
@software{cssbench,
  title={CSS-bench},
  author={{The CSS-bench authors}},
  version={VERSION}
}"""

_COLUMNS = {
    "image_id": "The row's number in its split. References come first.",
    "scene": "JSON: a list of objects with cell, size, colour and shape.",
    "key": "The scene as one canonical string. Images with equal keys are equally correct answers.",
    "is_reference": "Whether queries start from this image.",
    "image_3d": "The ray-traced image, RGB.",
    "image_2d": "The flat image, RGB.",
    "mask": "The object that each pixel of image_3d shows: 0 for the floor, 1 to 9 for an object by its cell.",
    "depth": f"Distance of each pixel of image_3d along the viewing axis in {DEPTH_STEPS}ths of a world unit, 16 bits; "
    "65535 for that and all that is farther.",
    "query_id": "The row's number in its split.",
    "source_id": "image_id of the image that the query starts from, in the same split.",
    "target_id": "image_id of the answer that was drawn, in the same split. Images with its key are answers, too.",
    "modification_id": "Equal for {shared}.",
    "text": "The modification in words.",
    "modification": "The modification as JSON.",
    "kind": "The kind of the modification.",
    "novel": "Whether {novel} of a combination that the train split never shows.",
    "distractor_ids": "image_id of wrong answers that are in the test split for this query.",
    "distractor_why": "What is wrong with each distractor.",
    **{name: column.about for name, column in GEOMETRY_COLUMNS.items()},
}


def write_croissant(root: Path, manifest: Manifest) -> None:
    """Write croissant.json into a dataset's folder."""
    write_atomically(root / CROISSANT_NAME, croissant(manifest))


def croissant(manifest: Manifest) -> bytes:
    """Return the content of croissant.json: `describe` as JSON."""
    return (json.dumps(describe(manifest), indent=1, ensure_ascii=False) + "\n").encode()


def problem(root: Path, manifest: Manifest) -> str | None:
    """Return what is wrong with croissant.json; None where it is missing, as in datasets of earlier versions."""
    try:
        files = json.loads((root / CROISSANT_NAME).read_text())["distribution"]
        checksums = {file["@id"]: file["sha256"] for file in files if file["@type"] == "cr:FileObject"}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return "cannot be read"
    expected = {name: entry.sha256 for name, entry in manifest.files.items()}
    return None if checksums == expected else "its checksums are not the manifest's"


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return the Croissant description of a dataset: a pure function of its manifest.

    It has no date of publication, which the manifest does not know. `url` is the dataset card beside it. mlcroissant
    does not check the checksums of files that it reads as a set, as here; `css-gen verify` does.
    """
    configuration, version = manifest.configuration, manifest.generator_version
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": configuration.dataset_name,
        "description": _description(configuration),
        "license": "https://spdx.org/licenses/Apache-2.0.html",
        "url": "README.md",
        **({"version": version} if _SEMANTIC_VERSION.fullmatch(version) else {}),
        "identifier": manifest.fingerprint,
        "creator": {"@type": "sc:Organization", "name": "The CSS-bench authors"},
        "citeAs": _CITATION.replace("VERSION", version),
        "keywords": ["composed image retrieval", "CSS dataset", "synthetic", "vision and language"],
        "inLanguage": "en",
        **_responsible_ai(manifest),
        "distribution": [
            *({"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name, "encodingFormat": _PARQUET,
               "contentSize": f"{entry.bytes} B", "sha256": entry.sha256}
              for name, entry in manifest.files.items()),
            *(_file_set(manifest, name) for name in _FILES),
        ],
        "recordSet": [
            _splits(manifest),
            _record_set(manifest, "images", image_schema(configuration)),
            _record_set(manifest, "queries", query_schema(configuration)),
        ],
    }  # fmt: skip


def _description(configuration: Configuration) -> str:
    title, track, *_ = about_track(configuration)
    return (
        f"{title}. {track.strip()} Scenes of cubes, spheres and cylinders on a 3x3 grid, each as a ray-traced 3D image "
        f"and as a flat 2D image of {configuration.size}x{configuration.size} pixels, and modification texts that lead "
        "from a source image to a target image, for composed image retrieval."
    ).replace("  ", " ")


def _responsible_ai(manifest: Manifest) -> dict[str, Any]:
    """Return the fields of Croissant's RAI vocabulary that mean something for rendered data."""
    configuration = manifest.configuration
    options = json.dumps(configuration.to_json())
    generated = f"css-gen {manifest.generator_version}"
    return {
        "rai:dataCollection": f"Generated, not collected: {generated} draws scenes and modifications at random from a "
        f"seed and renders them. The same options give the same pixels on every CPU. Options: {options}",
        "rai:dataCollectionType": "Others",
        "rai:dataCollectionRawData": "None. The column scene holds the objects that each image shows.",
        "rai:dataAnnotationProtocol": "No annotators. Texts are written from a grammar, and the right answers are "
        "computed from the scenes.",
        "rai:machineAnnotationTools": [generated],
        "rai:personalSensitiveInformation": "None: images show geometric shapes, texts name shapes, colours, sizes and "
        "places.",
        "rai:dataBiases": "Colours, shapes, sizes and kinds of modification are drawn by a fixed scheme. Some "
        "shape-colour combinations are in one split alone (held_out in manifest.json), to measure generalisation.",
        "rai:dataLimitations": "Simple scenes and English texts of a grammar: results do not carry over to "
        "photographs or to what people write without a test there. The generator of the dataset of Vo et al. (2019) "
        "was never released; this dataset is from another one.",
        "rai:dataUseCases": "Training and comparing models that compose an image and a text for retrieval, and tests "
        "of compositional generalisation.",
        "rai:dataReleaseMaintenancePlan": "A dataset is rendered again by the same version of css-gen with the same "
        "options. Its fingerprint (identifier) covers the decoded content.",
    }  # fmt: skip


def _file_set(manifest: Manifest, record_set: str) -> dict[str, Any]:
    """Return the files of a record set in all splits: it has one source."""
    name = _file_set_id(record_set)
    includes = [f"{split}/{_FILES[record_set]}" for split in manifest.splits]
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": _PARQUET, "includes": includes}


def _file_set_id(record_set: str) -> str:
    return f"{record_set}-files"


def _splits(manifest: Manifest) -> dict[str, Any]:
    """Return the record set that says what each split is for."""
    return {
        "@type": "cr:RecordSet", "@id": "splits", "name": "splits", "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": ["sc:URL", "cr:Split"]},
        ],
        "data": [{"splits/name": split, "splits/url": _SPLITS[split]} for split in manifest.splits],
    }  # fmt: skip


def _record_set(manifest: Manifest, name: str, schema: pa.Schema) -> dict[str, Any]:
    _, _, shared, novel, _ = about_track(manifest.configuration)
    # mlcroissant makes the pattern of one split's files from this, to read no others.
    files = _FILES[name].replace(".", r"\.").replace("*", ".*")
    split = {
        "@type": "cr:Field", "@id": f"{name}/split", "name": "split", "dataType": "sc:Text",
        "description": f"The split, one of {', '.join(manifest.splits)}.",
        "source": {"fileSet": {"@id": _file_set_id(name)}, "extract": {"fileProperty": "fullpath"},
                   "transform": {"regex": f"^({'|'.join(manifest.splits)})/{files}$"}},
        "references": {"field": {"@id": "splits/name"}},
    }  # fmt: skip
    fields = [_field(name, field, _COLUMNS[field.name].format(shared=shared, novel=novel)) for field in schema]
    return {
        "@type": "cr:RecordSet", "@id": name, "name": name,
        "key": [{"@id": f"{name}/split"}, {"@id": fields[0]["@id"]}],
        "field": [split, *fields],
    }  # fmt: skip


def _field(record_set: str, field: Any, description: str) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": _file_set_id(record_set)}, "extract": {"column": field.name}}
    kind: dict[str, Any]
    if pa.types.is_struct(field.type):
        # The column holds bytes and path; without this a reader gets both.
        kind, source["transform"] = {"dataType": "sc:ImageObject"}, {"jsonPath": "bytes"}
    elif pa.types.is_list(field.type):
        innermost, shape = field.type, GEOMETRY_COLUMNS[field.name].shape if field.name in GEOMETRY_COLUMNS else (-1,)
        while pa.types.is_list(innermost):
            innermost = innermost.value_type
        kind = {"dataType": _TYPES[innermost], "isArray": True, "arrayShape": ",".join(map(str, shape))}
    else:
        kind = {"dataType": _TYPES[field.type]}
    return {
        "@type": "cr:Field", "@id": f"{record_set}/{field.name}", "name": field.name, "description": description,
        **kind, "source": source,
    }  # fmt: skip
