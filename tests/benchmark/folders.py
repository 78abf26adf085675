"""Small folders in exactly the layouts of Fashion200k, MIT-States and FashionIQ, with images of our own renderings.

A noun is a shape, an adjective a colour or the small size, and captions have several words: "large red leather cube".
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from css_gen.rendering.nuisance import Jitter, sample_nuisance
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

SHAPES = {"cube": Shape.RECTANGLE, "sphere": Shape.CIRCLE, "cylinder": Shape.TRIANGLE}
TEST_SHAPES = {"ceramic": Shape.RECTANGLE, "candy": Shape.CIRCLE, "fan": Shape.TRIANGLE}
"""The same shapes under names of test nouns of MIT-States."""

SMALL = "tiny"


def write_photograph(path: Path, shape: Shape, colour: Colour, size: Size, rng: np.random.Generator) -> None:
    """One object anywhere, as a JPEG of 80 x 64 pixels."""
    cell = list(Cell)[rng.integers(9)]
    image = render_3d(
        Scene((SceneObject(cell, size, colour, shape),)), sample_nuisance(Jitter(), rng=rng), size=64, with_depth=False
    ).image
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.pad(image, ((0, 0), (8, 8), (0, 0)), mode="edge")).save(path, quality=92)


def make_fashion200k(root: Path, *, train: int, test: int, queries: int, seed: int) -> Path:
    """Captions are "<size> <colour> <shape>"; every test query changes one of these words."""
    rng = np.random.default_rng(seed)
    captions: dict[str, dict[str, str]] = {}
    for split, count in (("train", train), ("test", test)):
        lines: dict[str, list[str]] = {name: [] for name in SHAPES}
        captions[split] = {}
        for number in range(count):
            noun, size, colour = (list(values)[rng.integers(len(values))] for values in (SHAPES, Size, Colour))
            caption = f"{size.value} {colour.value} {noun}"
            path = f"women/{noun}s/{caption.replace(' ', '_')}/{split}{number}/{split}{number}_0.jpeg"
            write_photograph(root / path, SHAPES[noun], colour, size, rng)
            captions[split][path] = caption
            lines[noun].append(f"{path}\t{rng.random():.4f}\t{caption}\n")
        for noun, some in lines.items():
            file = root / "labels" / f"{noun}_{split}_detect_all.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text("".join(some))
    pairs = [
        (source, target)
        for source, target in product(captions["test"], repeat=2)
        if len(set(captions["test"][source].split()) - set(captions["test"][target].split())) == 1
    ]
    chosen = rng.permutation(len(pairs))[:queries]
    (root / "test_queries.txt").write_text("".join(f"{pairs[row][0]} {pairs[row][1]}\n" for row in chosen))
    return root


CATEGORIES = {"dress": Shape.RECTANGLE, "shirt": Shape.CIRCLE, "toptee": Shape.TRIANGLE}
"""A shape stands for each category of FashionIQ."""


def make_fashion_iq(root: Path, *, train: int, val: int, queries: int, seed: int) -> Path:
    """`train` and `val` images and `queries` triplets of each category; half of the images are PNG files.

    The two captions name the target's colour and its size. Some images are on the list of two categories.
    """
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val)):
        shown: dict[str, tuple[Size, Colour]] = {}
        listed: dict[str, list[str]] = {}
        for category, shape in CATEGORIES.items():
            listed[category] = [f"B{split[0].upper()}{category[0].upper()}{number:04}" for number in range(count)]
            for number, name in enumerate(listed[category]):
                shown[name] = (list(Size)[rng.integers(2)], list(Colour)[rng.integers(8)])
                suffix = ("png", "jpg")[number % 2]
                write_photograph(root / "images" / f"{name}.{suffix}", shape, shown[name][1], shown[name][0], rng)
        listed["shirt"].append(listed["dress"][0])
        for category, names in listed.items():
            triplets = []
            for _ in range(queries):
                source, target = (names[row] for row in rng.choice(len(names), 2, replace=False))
                size, colour = shown[target]
                captions = [f"is {colour.value}.", f" {size.value} in size"]
                triplets.append({"target": target, "candidate": source, "captions": captions})
            for file, content in (
                (f"image_splits/split.{category}.{split}.json", names),
                (f"captions/cap.{category}.{split}.json", triplets),
            ):
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(json.dumps(content))
    return root


def make_mit_states(root: Path, *, images: int, seed: int, colours: int = 8) -> Path:
    """`images` of each state; the adjectives are colours (of large things) and "tiny" (in any colour)."""
    rng = np.random.default_rng(seed)
    for noun, shape in (SHAPES | TEST_SHAPES).items():
        for adjective in [*(colour.value for colour in list(Colour)[:colours]), SMALL]:
            for number in range(images):
                colour = list(Colour)[rng.integers(8)] if adjective == SMALL else Colour(adjective)
                size = Size.SMALL if adjective == SMALL else Size.LARGE
                write_photograph(root / "images" / f"{adjective} {noun}" / f"{number}.jpg", shape, colour, size, rng)
    write_photograph(root / "images" / "adj cube" / "0.jpg", Shape.RECTANGLE, Colour.RED, Size.LARGE, rng)
    return root
