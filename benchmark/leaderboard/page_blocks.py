"""The tables of a page such as docs/paper.md, from the CSV files of the boards.

A page has blocks, each between `<!-- WHAT NAME... -->` and `<!-- end -->`, whose contents are written here:

    <!-- composers css quick -->          the composers of the task's paper, and ours with that preset
    <!-- ablations tirg css quick -->     the settings of an ablation
    <!-- drop css css-2d3d quick -->      how much lower Recall@1 is on the second task
    <!-- tracks css quick -->             the task and every track: Recall@1 of each composer, and the levels beside it
    <!-- slices css selection quick -->   Recall@1 on all queries and on each slice of an attribute, or of several
    <!-- strengths css quick -->          the slices on which a composer ranks better, or worse, than on all queries

Ours are the runs of the preset or, where there are none, of the preset with pretrained weights; all runs of a block are
on one dataset with one recipe.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.board_blocks import slices, strengths, tracks
from benchmark.leaderboard.paper_blocks import ablations, composers, drop
from benchmark.recipe import presets
from css_gen.storage.atomic import write_atomically

_BLOCK = re.compile(r"<!-- (\w+) ([^>\n]*) -->\n(.*?)<!-- end -->", re.DOTALL)


class _Kind(NamedTuple):
    """A kind of block: how many names it has, the preset last; whether it takes more; what writes it."""

    names: int
    write: Callable[..., str]
    takes_more: bool = False


_KINDS = {
    "composers": _Kind(2, composers),
    "ablations": _Kind(3, ablations),
    "drop": _Kind(3, drop),
    "tracks": _Kind(2, tracks),
    "slices": _Kind(3, slices, takes_more=True),
    "strengths": _Kind(2, strengths),
}


def update(path: Path, leaderboards: Path) -> None:
    """Write the blocks of a page again.

    Raises:
        BenchmarkError: as `updated`, or the page cannot be read or written.
    """
    try:
        write_atomically(path, updated(path.read_text(encoding="utf-8"), leaderboards).encode())
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: is not a page that can be read and written ({error})") from None


def updated(page: str, leaderboards: Path) -> str:
    """The page with every block as the files in `leaderboards` have it; what surrounds the blocks stays as it is.

    Raises:
        BenchmarkError: a block has an unknown kind or wrong names, or there is an end without a block.
    """
    if page.count("<!-- end -->") != len(_BLOCK.findall(page)):
        raise BenchmarkError("the page has an <!-- end --> without a block, or a block inside another; see its source")

    def written(match: re.Match[str]) -> str:
        name, names = match[1], match[2].split()
        if name not in _KINDS:
            raise BenchmarkError(f"<!-- {name} {match[2]} -->: unknown kind; there are {', '.join(_KINDS)}")
        kind = _KINDS[name]
        if len(names) < kind.names or (len(names) > kind.names and not kind.takes_more):
            least = "at least " * kind.takes_more
            raise BenchmarkError(f"<!-- {name} {match[2]} -->: expected {least}{kind.names} names, found {len(names)}")
        presets.preset(names[-1])
        return f"<!-- {name} {match[2]} -->\n{kind.write(leaderboards, *names)}\n<!-- end -->"

    return _BLOCK.sub(written, page)
