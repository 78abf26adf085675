"""One image encoder per file. Every file in this folder is imported, and importing it registers its encoders."""

import importlib
import pkgutil

from models.image_encoders.base import ImageEncoder, image_encoder, names, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["ImageEncoder", "image_encoder", "names", "register"]
