"""The right answers of a text, against trying every scene there is."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene, SceneObject
from tests.css_gen.scenes.reading import fits

FEW_CELLS = (Cell.TOP_LEFT, Cell.MIDDLE_CENTER, Cell.BOTTOM_RIGHT)
FEW = tuple(product((Size.SMALL, Size.LARGE), (Colour.RED, Colour.CYAN), (Shape.CIRCLE, Shape.TRIANGLE)))
SMALL_WORLD = tuple(
    Scene(tuple(SceneObject(cell, *item) for cell, item in zip(FEW_CELLS, items, strict=True) if item))
    for items in product((None, *FEW), repeat=3)
)
"""All 729 scenes of three cells and eight objects."""

objects = st.builds(
    SceneObject, st.sampled_from(Cell), st.sampled_from(Size), st.sampled_from(Colour), st.sampled_from(Shape)
)
scenes = st.lists(objects, max_size=9, unique_by=lambda item: item.cell).map(lambda items: Scene(tuple(items)))


def words(*choices: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from(("", *each)) for each in choices)).map(lambda some: " ".join(filter(None, some)))


def texts(cells: tuple[str, ...], sizes: tuple[str, ...], colours: tuple[str, ...], shapes: tuple[str, ...]):  # type: ignore[no-untyped-def]
    def text(verb: str, cell: str, noun: str, shape: str, new: str) -> str:
        thing = f"{noun} {shape}".strip()
        if verb == "add":
            return f"add {thing}" + (f" to {cell}" if cell else "")
        located = f"{cell} {thing}".strip()
        return f"remove {located}" if verb == "remove" else f"make {located} {new}"

    return st.builds(
        text,
        st.sampled_from(("add", "remove", "make")),
        st.sampled_from(("", *cells)),
        words(sizes, colours),
        st.sampled_from(("object", *shapes)),
        st.sampled_from((*sizes, *colours)),
    )


SMALL_TEXTS = texts(FEW_CELLS, (Size.SMALL, Size.LARGE), (Colour.RED, Colour.CYAN), (Shape.CIRCLE, Shape.TRIANGLE))
ALL_TEXTS = texts(tuple(Cell), tuple(Size), tuple(Colour), tuple(Shape))


@given(text=SMALL_TEXTS, source=st.sampled_from(SMALL_WORLD))
def test_targets_are_the_scenes_of_a_small_world_that_fit(text: str, source: Scene) -> None:
    targets = parse(text).targets(source)
    small = {scene.key: scene for scene in SMALL_WORLD}
    assert targets & small.keys() == {key for key, scene in small.items() if fits(text, source, scene)}
    outside = [key for key in targets if key not in small]
    assert not outside or text.startswith("add"), "only a new object may be of the rest of the world"


@given(text=ALL_TEXTS, source=scenes)
def test_targets_are_the_scenes_one_edit_away_that_fit(text: str, source: Scene) -> None:
    """Every scene with an object more, and every one in which some objects are gone, or all of one attribute."""
    taken = {item.cell for item in source}
    near = [
        Scene((*source.objects, SceneObject(cell, size, colour, shape)))
        for cell, size, colour, shape in product(Cell, Size, Colour, Shape)
        if cell not in taken
    ]
    subsets = list(product((False, True), repeat=len(source.objects)))
    new = text.split()[-1]
    for chosen in subsets:
        pairs = list(zip(source.objects, chosen, strict=True))
        near.append(Scene(tuple(item for item, gone in pairs if not gone)))
        if text.startswith("make"):
            near.append(Scene(tuple(_remade(item, new) if meant else item for item, meant in pairs)))
    assert parse(text).targets(source) == {scene.key for scene in near if fits(text, source, scene)}


def _remade(item: SceneObject, new: str) -> SceneObject:
    if new in tuple(Size):
        return SceneObject(item.cell, Size(new), item.colour, item.shape)
    return SceneObject(item.cell, item.size, Colour(new), item.shape)
