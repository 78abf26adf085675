"""Refuse to run when another package of the same name is imported in place of one of this program's own."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from css_gen.errors import CssBenchError

_ROOT = Path(__file__).resolve().parents[1]


def require_own_packages(names: Sequence[str]) -> None:
    """Check that each package would be imported from the folder that holds `css_gen`; nothing is imported for it.

    Many PyTorch repositories have a folder `models` of their own. On PYTHONPATH, or in the current folder under
    `python -m`, it comes before the installed packages and hides the one of this program.

    Raises:
        CssBenchError: another file or folder has the name; the message names it and says how to get it out of the way.
    """
    for name in names:
        found = _location(name)
        own = _ROOT / name
        if found is None and not own.is_dir():
            raise CssBenchError(f"the package {name} is missing from {_ROOT}: install css-bench again")
        if found is not None and found != own.resolve():
            raise CssBenchError(
                f"{found} hides this program's own package {name} ({own}): take {found.parent} out of PYTHONPATH, "
                f"start the command in another folder, or rename {found.name}"
            )


def _location(name: str) -> Path | None:
    """The folder or file that `import NAME` would read; None if there is none."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ())
    if not places:
        return Path(spec.origin).resolve() if spec.origin else None
    return Path(places[0]).resolve()
