"""What several commands take: where datasets lie, and where leaderboards do."""

from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path)
LEADERBOARDS = click.option(
    "--out", type=FOLDER, default=Path("leaderboards"), show_default=True, help="The folder of records and tables."
)


class Place(click.ParamType[Any]):
    """NAME=PATH: where a dataset lies."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        name, equals, path = str(value).partition("=")
        if not equals or not name or not path:
            self.fail(f"{value!r} is not NAME=PATH, for instance css=data/css", param, ctx)
        return name, Path(path)


PLACES = click.option(
    "--data", "places", multiple=True, type=Place(), help="Where a dataset lies, if not in data/NAME."
)


def by_name(places: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    """The folders by dataset name. Raises UsageError for a name that no dataset has."""
    from benchmark import datasets

    datasets.require_known(name for name, _ in places)
    return dict(places)
