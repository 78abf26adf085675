"""One text encoder per file. Every file in this folder is imported, and importing it registers its encoder."""

import importlib
import pkgutil

from models.text_encoders.base import TextEncoder, TextSettings, get, names, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["TextEncoder", "TextSettings", "get", "names", "register"]
