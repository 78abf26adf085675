"""Send a dataset to the Hugging Face Hub: its data files, its manifest, and both descriptions made from that."""

import re
from pathlib import Path

from css_gen import hub
from css_gen.errors import DatasetError
from css_gen.storage import folder
from css_gen.storage.card import CARD_NAME, card
from css_gen.storage.croissant import CROISSANT_NAME, croissant
from css_gen.storage.manifest import MANIFEST_NAME, Manifest, read_manifest

_DATA = re.compile(r"(train|test)/(images-\d+-of-\d+|queries)\.parquet")


def dataset_files(root: Path, repo: str) -> hub.Files:
    """Return what the Hub gets of the dataset in a folder, by path: the files of its manifest, and nothing else there.

    Raises:
        DatasetError: there is no finished dataset, or a file is not the one of the manifest.
    """
    manifest = read_manifest(root)
    _require_sound(root, manifest)
    return {
        CARD_NAME: card(manifest, place=repo).encode(),
        MANIFEST_NAME: root / MANIFEST_NAME,
        CROISSANT_NAME: croissant(manifest),
        **{name: root / name for name in manifest.files},
    }


def push_dataset(root: Path, repo: str, *, private: bool = False) -> hub.Pushed:
    """Send the dataset in a folder to a repository, in one commit.

    Data files of another rendering are removed in that commit: a card's patterns would read them, too.

    Raises:
        DatasetError: as `dataset_files`.
        UsageError: `repo` is not USER/NAME.
        HubError: see `hub.push`.
    """
    hub.require_repo(repo)
    files = dataset_files(root, repo)
    message = f"CSS dataset, fingerprint {read_manifest(root).fingerprint[:16]}"
    return hub.push(repo, "dataset", files, message=message, private=private, is_stale=is_data)


def is_data(path: str) -> bool:
    """Return whether a path in a repository is that of a data file of css-gen."""
    return _DATA.fullmatch(path) is not None


def _require_sound(root: Path, manifest: Manifest) -> None:
    advice = f"`css-gen verify {root} --repair` renders it again"
    if not manifest.is_unedited:
        raise DatasetError(f"{root / MANIFEST_NAME} was edited; {advice}")
    for name, entry in manifest.files.items():
        path = root / name
        if not path.is_file() or path.stat().st_size != entry.bytes or folder.file_sha256(path) != entry.sha256:
            raise DatasetError(f"{path} is missing or is not the file of the manifest; {advice}")
