"""`tirg-bench explain`: the tallies of `explanation.summary` on stored records, and one query in words."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.explanation.answer_kinds import AnswerKind
from benchmark.explanation.summary import kinds_of_answers, tally
from benchmark.records.rankings import Model, new_ranking, save_ranking
from benchmark.records.store import StoredFile, load_record
from benchmark.scoring.evaluation import Evaluation
from css_gen.scenes.factors import Cell
from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT
from tests.benchmark.made_up_answers import CONFIGURATION, RENDERED, answers, save_answers


def explain(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def save_model(out: Path, **changed: Any) -> Path:
    """Save a model whose ranking is that of TIRG's first run."""
    outcomes, top = answers(seed=0)
    outcomes = replace(outcomes, **changed)
    record = new_ranking(
        Model("lists", "Lists", "Me", "https://example.org"),
        Evaluation(outcomes, top),
        task="css",
        dataset=load_record(save_answers(out, seed=0)).dataset,
        given="ranking",
        depth=50,
        files=[StoredFile(path="r.parquet", sha256="ab" * 32)],
    )
    return save_ranking(record, outcomes, out / "records")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TIRG with two seeds, a model, and a composer whose record does not say how its dataset is rendered."""
    out = tmp_path_factory.mktemp("explain")
    for seed in range(2):
        save_answers(out, seed=seed)
    save_answers(out, seed=0, composer="concat", title="Concat", rendering=None)
    save_model(out)
    return out


def kinds(seed: int) -> tuple[AnswerKind, ...]:
    return kinds_of_answers(RENDERED.scenes, RENDERED.queries, answers(seed=seed)[0])


@pytest.mark.parametrize(("options", "seeds"), [((), (0, 1)), (("--seed", 1), (1,))])
def test_it_prints_how_often_each_kind_is(options: tuple[object, ...], seeds: tuple[int, ...], out: Path) -> None:
    result = explain("--composer", "tirg", "--out", out, *options)
    assert result.exit_code == 0, result.stderr
    assert f"tirg on css, preset quick, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" in result.stdout
    lines = [line.strip() for line in result.stdout.splitlines()]
    for each in tally(RENDERED.queries, [kinds(seed) for seed in seeds]):
        numbers = [f"{each.answers:,}", *(f"{share:.1f}" for share in (each.share, *each.by_modification.values()))]
        assert next(line.split() for line in lines if line.startswith(each.kind)) == [*each.kind.split(), *numbers]
        assert each.kind.meaning in " ".join(result.stdout.split())


def query_of(kind: AnswerKind) -> int:
    return kinds(0).index(kind)


@pytest.mark.parametrize("kind", [AnswerKind.DRAWN, AnswerKind.COMPLETION, AnswerKind.SCENE])
def test_it_tells_one_query_in_words(kind: AnswerKind, out: Path) -> None:
    number, outcomes = query_of(kind), answers(seed=0)[0]
    result = explain("--composer", "tirg", "--query", number, "--out", out)
    assert result.exit_code == 0, result.stderr
    told, _, table = result.stdout.partition("Differing cell")
    said = {line[:14].strip(): line[14:] for line in told.splitlines()[2:]}
    query, first = RENDERED.queries[number], int(outcomes.top1[number])
    source, target, answer = (RENDERED.scenes[place] for place in (query.source_id, query.target_id, first))
    assert said["text"] == query.text
    assert said["source"] == f"image {query.source_id}: {source.key or 'nothing'}"
    assert said["drawn target"] == f"image {query.target_id}: {target.key or 'nothing'}"
    assert said["first image"] == f"image {first}: {answer.key or 'nothing'}"
    assert said["kind"] == f"{kind}. {kind.meaning}"
    assert said["rank"].split(";")[0] == f"{outcomes.ranks[number]:,}"
    relevant = {scene.key for scene in RENDERED.scenes} & query.modification.targets(source)
    assert said["relevant"].startswith(f"{outcomes.relevant[number]} of {outcomes.candidates[number]} images")
    assert f"with {len(relevant)} different scene" in said["relevant"]
    assert ("also relevant" in said) == (len(relevant) > 1)
    if kind is AnswerKind.COMPLETION:
        assert said["also relevant"] in relevant - {target.key}
        assert said["rank"] == f"1; drawn target: {outcomes.drawn_ranks[number]}"
    differing = {item.cell for scene in (source, target, answer) for item in {*source, *target, *answer} - {*scene}}
    assert {cell for cell in Cell if re.search(rf"(?m)^ {cell} ", table)} == differing


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--composer", "trg"], 2, "unknown composer 'trg': did you mean tirg?"),
        (["--composer", "film"], 1, "has no record of film; `tirg-bench run --composer film --dataset css` makes one"),
        (["--composer", "tirg", "--dataset", "css-2d3d"], 1, "--composer tirg --dataset css-2d3d` makes one"),
        (["--composer", "tirg", "--dataset", "cs"], 2, "unknown dataset 'cs': did you mean css?"),
        (["--composer", "tirg", "--dataset", "mit-states"], 2, "mit-states is not rendered by css-gen, so"),
        (["--composer", "lists", "--seed", "0"], 2, "lists was scored by its ranking, which has no preset and no seed"),
        (["--composer", "lists", "--preset", "quick"], 2, "lists was scored by its ranking, which has no preset and"),
        (["--composer", "tirg", "--preset", "quik"], 2, "unknown preset 'quik': did you mean quick?"),
        (["--composer", "tirg", "--seed", "7"], 1, "no record with seed 7 on css, preset quick; there is 0, 1"),
        (["--composer", "tirg", "--query", "100000"], 2, "--query 100000: css has queries 0 to "),
        (["--composer", "concat"], 1, "do not say how their dataset is rendered"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(
    out: Path, arguments: list[str], code: int, expected: str
) -> None:
    result = explain(*arguments, "--out", out)
    assert result.exit_code == code
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_model_is_explained_by_its_ranking(out: Path, tmp_path: Path) -> None:
    of_run, of_model = (explain("--composer", name, "--out", out, *("--seed", 0) * (name == "tirg")).stdout
                        for name in ("tirg", "lists"))  # fmt: skip
    assert "lists (its ranking) on css, dataset explaine" in of_model
    assert of_model.splitlines()[1:] == of_run.splitlines()[1:]
    ranks = answers(seed=0)[0].ranks
    for number, bound in ((int((ranks > 50).argmax()), "at most "), (int(ranks.argmin()), "")):
        of_query = explain("--composer", "lists", "--query", number, "--out", out).stdout
        assert f"\nrank          {bound}{ranks[number]}" in of_query
    path = save_model(tmp_path, top1=np.roll(answers(seed=0)[0].top1, 1))
    result = explain("--composer", "lists", "--out", tmp_path)
    assert "its rank contradicts the scene of its first image; score it again" in result.stderr
    path.write_text(path.read_text().replace("Lists", "BEST"))
    result = explain("--composer", "lists", "--out", tmp_path)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert "was edited" in result.stderr


def test_of_several_datasets_the_published_one_is_explained_and_the_others_are_named(tmp_path: Path) -> None:
    for fingerprint in ("0000", "zzzz"):
        save_answers(tmp_path, seed=0, fingerprint=fingerprint)
    first = explain("--composer", "tirg", "--out", tmp_path)
    assert "seed 0, dataset 0000" in first.stdout
    assert first.stdout.endswith("\nNot explained here: its records on dataset zzzz\n")
    save_answers(tmp_path, seed=0, fingerprint=LEADERBOARD_FINGERPRINT)
    save_answers(tmp_path, seed=1, fingerprint="0000", queries_seen=99_999)
    published = explain("--composer", "tirg", "--out", tmp_path)
    assert f"seed 0, dataset {LEADERBOARD_FINGERPRINT[:8]}" in published.stdout
    assert published.stdout.endswith("\nNot explained here: its records on dataset 0000, zzzz\n")


def test_a_record_that_was_edited_is_left_out_and_named(tmp_path: Path) -> None:
    paths = [save_answers(tmp_path, seed=seed) for seed in range(2)]
    paths[1].write_text(paths[1].read_text().replace("TIRG", "BEST"))
    result = explain("--composer", "tirg", "--out", tmp_path)
    assert result.exit_code == 1
    assert "preset quick, seed 0, dataset" in result.stdout
    assert f"{paths[1].name}: was edited" in result.stderr
    paths[0].write_text(paths[0].read_text().replace("TIRG", "BEST"))
    result = explain("--composer", "tirg", "--out", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "was edited" in result.stderr


def test_a_record_of_another_dataset_is_refused(tmp_path: Path) -> None:
    save_answers(tmp_path, seed=0, rendering=CONFIGURATION.to_json() | {"seed": 99})
    result = explain("--composer", "tirg", "--out", tmp_path)
    assert result.exit_code == 1
    assert "hold other queries than their dataset's configuration gives here" in result.stderr


def test_a_record_whose_ranks_contradict_the_scenes_is_refused(tmp_path: Path) -> None:
    save_answers(tmp_path, seed=0, changed={"top1": np.roll(answers(seed=0)[0].top1, 1)})
    result = explain("--composer", "tirg", "--out", tmp_path)
    assert result.exit_code == 1
    assert "its rank contradicts the scene of its first image; run it again" in result.stderr
    assert len(result.stderr.splitlines()) == 1
