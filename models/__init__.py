"""Composers for composed image retrieval, and the encoders they share. Needs torch; knows no dataset."""

from models import (  # noqa: F401  importing a composer's file registers it
    attribute_as_operator,
    concat,
    film,
    image_only,
    mrn,
    parameter_hashing,
    relationship,
    show_and_tell,
    text_only,
    tirg,
)
from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import create, names, register

__all__ = ["Composer", "ComposerInfo", "TextFeatures", "create", "names", "register"]
