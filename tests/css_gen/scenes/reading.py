"""What a modification text means, read word by word from its text alone; slow, and sharing no code with css_gen."""

from css_gen.scenes.scene import Scene

CELLS = {f"{row}-{column}" for row in ("top", "middle", "bottom") for column in ("left", "center", "right")}
SIZES = {"small", "large"}
SHAPES = {"rectangle", "circle", "triangle"}
SOLIDS = {"cube": "rectangle", "sphere": "circle", "cylinder": "triangle"}

Grid = dict[str, tuple[str, str, str]]
"""By cell: size, colour and shape of the object in it."""


def grid(scene: Scene) -> Grid:
    return {str(item.cell): (str(item.size), str(item.colour), str(item.shape)) for item in scene.objects}


def fits(text: str, source: Scene, target: Scene) -> bool:
    """Whether the text makes the target of the source."""
    verb, *words = text.split()
    before, after = grid(source), grid(target)
    new = words.pop() if verb == "make" else ""
    meant = {cell: item for cell, item in before.items() if describes(words, cell, item)}
    if verb == "add":
        added = set(after) - set(before)
        kept = all(after.get(cell) == item for cell, item in before.items())
        return kept and len(added) == 1 and all(describes(words, cell, after[cell]) for cell in added)
    if verb == "remove":
        return bool(meant) and after == {cell: item for cell, item in before.items() if cell not in meant}
    remade = {cell: (new, c, s) if new in SIZES else (z, new, s) for cell, (z, c, s) in meant.items()}
    return bool(meant) and after == before | remade


def describes(words: list[str], cell: str, item: tuple[str, str, str]) -> bool:
    said = [SOLIDS.get(word, word) for word in words if word not in ("to", "object")]
    return all(word in (cell, *item) for word in said)


def selection(text: str) -> str:
    """By what the words select, as the tables call it."""
    verb, *words = text.split()
    if verb == "make":
        words.pop()
    said = [word for word in words if word not in ("to", "object")]
    cell = any(word in CELLS for word in said)
    content = any(word not in CELLS for word in said)
    return {(True, True): "cell and content", (True, False): "cell", (False, True): "content"}.get(
        (cell, content), "everything"
    )
