"""The entry point of `tirg-bench`: it can say that the user's own package `benchmark` or `models` hides this program's.

It is in `css_gen` because a script that imports a hidden `benchmark` first could say nothing. `benchmark` is imported
by name, after the check; nothing else here knows of it.
"""

import sys
from importlib import import_module

from css_gen.errors import CssBenchError
from css_gen.namesakes import require_own_packages

PACKAGES = ("benchmark", "models")


def tirg_bench() -> None:
    """Run `tirg-bench`."""
    try:
        require_own_packages(PACKAGES)
    except CssBenchError as error:
        sys.exit(f"tirg-bench: error: {error}")
    import_module("benchmark.cli.main").main()
