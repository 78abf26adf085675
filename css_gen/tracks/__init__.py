"""Hard tracks: queries that one edit of one object does not cover, on the scenes and the renderer of CSS.

A track is a kind of program, the wrong answers that are put into the gallery beside its targets, and how both are
drawn. Every file in this folder is imported, and a call of `register` is all that another track takes.
"""

import importlib
import pkgutil

from css_gen.tracks.base import Distractor, Draw, Pool, Program, Shortcut, Track
from css_gen.tracks.registry import get, names, register

__all__ = ["Distractor", "Draw", "Pool", "Program", "Shortcut", "Track", "get", "names", "register"]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
