"""`tirg-bench plot` writes every kind of figure of the boards that were asked for, or says what is wrong in a line."""

from pathlib import Path

import pytest

from benchmark.leaderboard.comparison import ALL
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.leaderboard.made_up_tables import boards_of, save
from tests.benchmark.leaderboard.markers import markers, require_linear, texts

ATTRIBUTES = ("answers", "changed", "combination", "kind", "objects", "selection")
KINDS = ("cost-parameters", "cost-time", "curves-loss", "curves-validation", "recall")
CSS = tuple(sorted((*(f"css-quick-{kind}" for kind in KINDS), *(f"css-quick-slices-{name}" for name in ATTRIBUTES))))


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """A board with four composers, one of which sees the text alone, and one of another task."""
    root = tmp_path / "leaderboards"
    save(root, hit_rate=0.8, noise=1)
    save(root, hit_rate=0.6, noise=2, composer="film", title="FiLM")
    save(root, hit_rate=0.5, noise=4, composer="mrn", title="MRN")
    save(root, hit_rate=0.1, noise=3, composer="text_only", title="Text only")
    save(root, hit_rate=0.4, noise=5, protocol="css-2d3d")
    return root


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_alone_it_draws_every_kind_of_every_board(boards: Path, tirg_bench: TirgBench) -> None:
    result = tirg_bench("plot", "--format=svg")
    assert result.exit_code == 0, result.output
    expected = [f"{name}.svg" for name in (*CSS, *(name.replace("css", "css-2d3d") for name in CSS))]
    assert names_in(Path("plots")) == sorted(expected)
    assert "css, preset quick: 3 composers, without text_only\n" in result.stdout
    assert "css-2d3d, preset quick: 1 composer\n" in result.stdout
    assert "22 files are in plots" in result.stdout
    (board,) = (each for each in boards_of(boards) if each.protocol == "css")
    values = [row.scores[ALL].mean[1] for row in board.rows if row.composer.name != "text_only"]
    svg = Path("plots/css-quick-recall.svg").read_text()
    require_linear(values, markers(svg, "recall", "x"), sign=1)
    assert "Text only" not in texts(svg)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kind=recall"], ["css-quick-recall.png", "css-quick-recall.svg"]),
        (["--kind=cost", "--format=pdf"], ["css-quick-cost-parameters.pdf", "css-quick-cost-time.pdf"]),
        (["--kind=cost", "--cost=time", "--format=svg"], ["css-quick-cost-time.svg"]),
        (["--kind=slices", "--slice=changed", "--format=svg"], ["css-quick-slices-changed.svg"]),
        (["--kind=curves", "--format=svg"], ["css-quick-curves-loss.svg", "css-quick-curves-validation.svg"]),
    ],
)
@pytest.mark.usefixtures("boards")
def test_options_choose_what_is_drawn(options: list[str], expected: list[str], tirg_bench: TirgBench) -> None:
    result = tirg_bench("plot", "--dataset=css", "--out=mine", *options)
    assert result.exit_code == 0, result.output
    assert names_in(Path("mine")) == expected


@pytest.mark.usefixtures("boards")
def test_composers_that_are_named_are_drawn_alone(tirg_bench: TirgBench) -> None:
    only = ("--composer=text_only", "--composer=film", "--kind=recall", "--format=svg", "--width=3.3")
    assert tirg_bench("plot", *only).exit_code == 0
    assert names_in(Path("plots")) == ["css-quick-recall.svg"]
    svg = Path("plots/css-quick-recall.svg").read_text()
    assert [text for text in texts(svg) if text in ("TIRG", "FiLM", "MRN", "Text only")] == ["FiLM", "Text only"]
    assert 'width="237.6pt"' in svg


def test_recipes_of_the_same_file_name_are_told_apart(boards: Path, tirg_bench: TirgBench) -> None:
    for steps in (7, 9):
        save(boards, noise=steps, recipe=override(PRESETS["quick"], [f"training.steps={steps}"]))
    only = ("--dataset=css", "--kind=recall", "--format=svg")
    assert tirg_bench("plot", *only).exit_code == 0
    names = names_in(Path("plots"))
    assert len(names) == 3
    assert sum(name.startswith("css-quick-changed-") for name in names) == 2
    assert tirg_bench("plot", *only, "--preset=quick, training.steps=9", "--out=one").exit_code == 0
    assert set(names_in(Path("one"))) < set(names)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--dataset=cs"], 2, "unknown dataset 'cs': did you mean css"),
        (["--dataset=fashion_iq"], 1, "fashion-iq has no rows in leaderboards; `tirg-bench run --dataset fashion-iq`"),
        (["--preset=quik"], 2, "unknown preset 'quik': did you mean quick?"),
        (["--composer=flim"], 2, "unknown composer 'flim': did you mean film?"),
        (["--dataset=css-2d3d", "--composer=film"], 2, "unknown composer 'film': there are tirg"),
        (["--slice=selektion"], 2, "unknown slice 'selektion': did you mean selection?"),
        (["--kind=recall", "--slice=changed"], 2, "--slice selects among slices: add --kind slices"),
        (["--kind=recall", "--cost=time"], 2, "--cost selects among figures of cost: add --kind cost"),
        (["--kind=recal"], 2, "'recal' is not one of"),
        (["--width=1"], 2, "'--width'"),
        (["--leaderboards=elsewhere"], 1, "elsewhere/records: there is no folder of records"),
        (["--kind=recall", "--out=/proc/nowhere"], 1, "/proc/nowhere/css-quick-recall.svg cannot be written"),
        (["--kind=recall", "--out=a-file"], 1, "a-file/css-quick-recall.svg cannot be written (File exists)"),
    ],
)
@pytest.mark.usefixtures("boards")
def test_what_is_wrong_is_said_in_one_line(options: list[str], code: int, message: str, tirg_bench: TirgBench) -> None:
    Path("a-file").touch()
    result = tirg_bench("plot", *options)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("plots").exists()


def test_without_a_record_it_says_what_makes_one(tirg_bench: TirgBench) -> None:
    Path("leaderboards/records").mkdir(parents=True)
    result = tirg_bench("plot")
    assert result.exit_code == 1
    assert "leaderboards/records: no board has a row yet; `tirg-bench run` makes records" in result.stderr


def test_a_broken_record_is_left_out_and_named(boards: Path, tirg_bench: TirgBench) -> None:
    (record,) = (boards / "records/css/mrn").glob("*.json")
    record.write_text("{}")
    result = tirg_bench("plot", "--dataset=css", "--kind=recall", "--format=svg")
    assert result.exit_code == 1
    assert "tirg-bench: left out: " in result.stderr
    assert "not a record of tirg-bench" in result.stderr
    assert "MRN" not in texts(Path("plots/css-quick-recall.svg").read_text())
