"""One loss per file. Every file in this folder is imported, and importing it registers its loss."""

import importlib
import pkgutil

from benchmark.training.losses.registry import batch_loss, get, names, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["batch_loss", "get", "names", "register"]
