"""Composers with a part taken away, one file for each composer. Importing a file registers its variants.

`models.registry.get` finds a variant by its name, but `models.names` does not list it: a variant is trained by
`tirg-bench ablate` and has no row on the composers' boards.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
