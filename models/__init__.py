"""Composers for composed image retrieval, and the encoders they share. Requires torch; imports no dataset."""

from models import ablations as _ablations  # noqa: F401  importing a composer's file registers it
from models import composers as _composers  # noqa: F401
from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import create, names, register

__all__ = ["Composer", "ComposerInfo", "TextFeatures", "create", "names", "register"]
