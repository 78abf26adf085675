from collections import Counter

from css_gen.scenes.factors import COMBINATIONS, Cell, Colour, Shape, Size


def test_every_word_has_one_meaning():
    """Otherwise a text could be read in two ways."""
    words = [*Shape, *(shape.solid_name for shape in Shape), *Colour, *Size, *Cell, "object"]
    assert [word for word, count in Counter(map(str, words)).items() if count > 1] == []
    assert not any(" " in word for word in words)


def test_the_vocabulary_of_the_paper():
    assert {shape: shape.solid_name for shape in Shape} == {
        "rectangle": "cube",
        "circle": "sphere",
        "triangle": "cylinder",
    }
    assert sorted(Colour) == ["blue", "brown", "cyan", "gray", "green", "purple", "red", "yellow"]
    assert sorted(Size) == ["large", "small"]


def test_cells_are_numbered_row_by_row():
    rows, columns = ["top", "middle", "bottom"], ["left", "center", "right"]
    assert [cell.index for cell in Cell] == list(range(9))
    for cell in Cell:
        assert cell == f"{rows[cell.row]}-{columns[cell.column]}"
        assert cell.index == 3 * cell.row + cell.column


def test_combinations_are_all_pairs_once():
    assert len(COMBINATIONS) == len(set(COMBINATIONS)) == 24
    assert {shape for shape, _ in COMBINATIONS} == set(Shape)
    assert {colour for _, colour in COMBINATIONS} == set(Colour)
