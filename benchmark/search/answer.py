"""Judge ranked images by what their scenes show, and tell them in words."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from benchmark.search.embedding import Embedded, ranked
from benchmark.search.gallery import Gallery
from benchmark.search.query_image import QueryImage
from benchmark.search.wording import OTHER_NAME, SOLID_NAMES
from benchmark.tasks.base import SceneProgram
from models.text_encoders.vocabulary import words_of


@dataclass(frozen=True)
class Answer:
    """One image of the gallery, in its place.

    Attributes:
        rank: from 1.
        similarity: the cosine, -1 to 1.
        row: of the gallery.
        name: the row's number as text, or the name of its file.
        scene: what the image shows, in words; None where that is not known.
        is_relevant: whether the scene is what the text makes of the query's; None where that is not known.
    """

    rank: int
    similarity: float
    row: int
    name: str
    scene: str | None
    is_relevant: bool | None


@dataclass(frozen=True)
class Found:
    """The answers to a query.

    Attributes:
        answers: best first.
        candidates: how many images were ranked.
        relevant: how many of them are relevant; None where that is not known.
        scene: what the query's image shows, in words; None where that is not known.
        applies: whether any scene at all can be relevant; True where that is not known.
        notes: a line for each thing about the text that the asker should know, such as an unknown word.
        image: the query's image.
    """

    answers: tuple[Answer, ...]
    candidates: int
    relevant: int | None
    scene: str | None
    applies: bool
    notes: tuple[str, ...]
    image: QueryImage


def judged(
    embedded: Embedded,
    gallery: Gallery,
    image: QueryImage,
    text: str,
    parse: Callable[[str], SceneProgram] | None,
    *,
    k: int,
    words: Collection[str] | None,
    notes: tuple[str, ...] = (),
) -> Found:
    """Give the best answers, told in words and judged where scenes are known and the text can be parsed.

    Args:
        text: as it was given.
        parse: `Task.parse` of the model's task.
        words: those that the model knows; scenes are told with cube, sphere and cylinder if it knows these.
    """
    relevant = relevant_keys(image, text, parse)
    keys = gallery.keys
    solid = any(name in (words or ()) for name in SOLID_NAMES)
    own = {int(embedded.rows[place]) for place in embedded.own}
    answers = tuple(
        Answer(
            rank,
            similarity,
            row,
            gallery.name(row),
            scene_in_words(keys[row], solid=solid) if keys else None,
            keys[row] in relevant if keys and relevant is not None else None,
        )
        for rank, (row, similarity) in enumerate(ranked(embedded, k), start=1)
    )
    count = None
    if keys and relevant is not None:
        count = sum(row not in own for row in gallery.rows_of(relevant).tolist())
    scene = scene_in_words(image.scene.key, solid=solid) if image.scene else None
    return Found(answers, len(embedded.rows) - len(own), count, scene, relevant != frozenset(), notes, image)


def relevant_keys(image: QueryImage, text: str, parse: Callable[[str], SceneProgram] | None) -> frozenset[str] | None:
    """The scenes that the text makes of the image's; None if that is unknown or the text is no program on scenes."""
    program = read_program(text, parse)
    return program.targets(image.scene) if program and image.scene is not None else None


def read_program(text: str, parse: Callable[[str], SceneProgram] | None) -> SceneProgram | None:
    """Parse a text as it is, else in lower case, else its words alone; None if it is no program on scenes.

    Commas are part of some texts ("..., then ..."), and capitals too ("I want ..."), so they are not left out at first.
    """
    written = " ".join(text.split())
    for each in (written, written.lower(), " ".join(words_of(text))):
        try:
            return parse(each) if parse else None
        except ValueError:
            continue
    return None


def scene_in_words(key: str, *, solid: bool) -> str:
    """Tell a scene's key with cube, sphere and cylinder if `solid`; "nothing" for the scene without objects."""
    if solid:
        key = re.sub(r"\w+", lambda word: OTHER_NAME.get(word[0], word[0]), key)
    return key or "nothing"
