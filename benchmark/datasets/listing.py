"""What files a folder of folders holds, kept beside it, so that a second start lists nothing."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from css_gen.storage.atomic import write_atomically

_FORMAT = 1


def list_folders(root: Path, name: str, *, suffixes: Sequence[str]) -> dict[str, list[str]]:
    """The files with these suffixes, in any case, in each folder of `root / name`; names sorted, hidden ones left out.

    The answer is kept in `root/.cache`. It is asked again where a folder's time of change is another than it was, which
    is the case once a file came, went or was renamed in it.
    """
    kept = root / ".cache" / f"{name}-listing.json"
    before: dict[str, tuple[int, list[str]]] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(kept.read_bytes())
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
    if found != before:
        with suppress(OSError):  # a folder that cannot be written to is listed each time
            kept.parent.mkdir(exist_ok=True)
            write_atomically(
                kept, json.dumps({"format": _FORMAT, "suffixes": list(suffixes), "folders": found}).encode()
            )
    return {folder_name: files for folder_name, (_, files) in found.items()}
