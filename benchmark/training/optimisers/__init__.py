"""One optimiser per file. Every file in this folder is imported, and importing it registers its optimiser."""

import importlib
import pkgutil

from benchmark.training.optimisers.registry import get, make_optimiser, names, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["get", "make_optimiser", "names", "register"]
