"""One benchmark a file. Every file in this folder is imported, and importing it registers its tasks."""

import importlib
import pkgutil

from benchmark.tasks.base import SOURCES, Published, Slice, Task
from benchmark.tasks.places import locate, make_if_absent, present_or_made
from benchmark.tasks.registry import by_folder, find, folder_of, folders, get, names, on_folder, register

__all__ = [
    "SOURCES",
    "Published",
    "Slice",
    "Task",
    "by_folder",
    "find",
    "folder_of",
    "folders",
    "get",
    "locate",
    "make_if_absent",
    "names",
    "on_folder",
    "present_or_made",
    "register",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
