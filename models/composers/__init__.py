"""One composer per file. Every file in this folder is imported, and importing it registers its composer."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
