"""The five steps of CONTRIBUTING for a composer that uses the optional parts of the contract."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmark.cli.main import main
from benchmark.leaderboard.files import write_leaderboards
from benchmark.records.store import read_stored, validate_record
from benchmark.runs.single_run import Bench
from tests.benchmark.submissions.conftest import Submit
from tests.benchmark.submissions.sources import source

DECODER = "self.decode = nn.Linear(image_channels, text_width)"
OWN_LOSS = """
pooled = composed.mean((2, 3)) if self.spatial else composed
return (self.decode(pooled) - text.pooled).square().mean() + (composed - target).square().mean()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("forked_submissions")
def test_a_composer_with_a_loss_of_its_own_and_two_levels_becomes_a_row_that_says_so(
    submit: Submit, bench: Bench, places: dict[str, Path], tmp_path: Path
) -> None:
    """The five steps of CONTRIBUTING, from a file to a verified record, which training again gives again."""
    text = source(in_init=DECODER, auxiliary=OWN_LOSS)
    (path,) = submit(text.replace("    def __init__", "    levels = 2\n\n    def __init__"))
    card = read_stored(path).record.composer
    assert (card.auxiliary, card.levels) == (True, 2)
    assert validate_record(path) == []
    written = write_leaderboards(bench.records, bench.leaderboards)
    assert written.problems == ()
    page = (bench.leaderboards / "css.md").read_text()
    assert "| Mine § ¶ " in page
    assert "§ was trained with a loss of its composer's own" in page
    for command in (["verify", path], ["verify", "--retrain", path]):
        places_option = f"--data=css={places['css']}"
        result = CliRunner().invoke(
            main, [*map(str, command), places_option, f"--out={bench.leaderboards}", f"--runs={tmp_path / 'again'}"]
        )
        assert result.exit_code == 0, result.output
