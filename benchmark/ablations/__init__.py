"""Ablations: one composer a file. Every file in this folder is imported, and importing it registers its ablation."""

import importlib
import pkgutil

from benchmark.ablations.base import Ablation, Setting
from benchmark.ablations.registry import get, names, register

__all__ = ["Ablation", "Setting", "get", "names", "register"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
