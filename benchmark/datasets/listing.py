"""List the files below a folder, and cache the list for later runs."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.datasets import cache_place
from css_gen.storage.atomic import write_atomically

_FORMAT = 1


def list_folders(root: Path, name: str, *, suffixes: Sequence[str]) -> dict[str, list[str]]:
    """The files with these suffixes, in any case, in each folder of `root / name`; names sorted, hidden ones left out.

    The list is kept in one of the places of `cache_place`. A folder is listed again once its time of change differs,
    which is so after a file came, went or was renamed in it.
    """
    listing = f"{name}-listing.json"
    before: dict[str, tuple[int, list[str]]] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = cache_place.find(root, listing)
        content = json.loads(kept.read_bytes()) if kept else {}
        if content["format"] == _FORMAT and content["suffixes"] == list(suffixes):
            before = {folder: (changed, files) for folder, (changed, files) in content["folders"].items()}
    folders = {
        folder.name: folder
        for folder in sorted((root / name).iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }
    found: dict[str, tuple[int, list[str]]] = {}
    for folder_name, folder in folders.items():
        changed = folder.stat().st_mtime_ns
        if folder_name in before and before[folder_name][0] == changed:
            found[folder_name] = before[folder_name]
        else:
            files = [file.name for file in folder.iterdir() if file.suffix.lower() in suffixes]
            found[folder_name] = changed, sorted(file for file in files if not file.startswith("."))
    if found != before and (place := cache_place.writable_place(root)):
        with suppress(OSError):  # a listing that cannot be kept is made each time
            write_atomically(
                place / listing, json.dumps({"format": _FORMAT, "suffixes": list(suffixes), "folders": found}).encode()
            )
    return {folder_name: files for folder_name, (_, files) in found.items()}
