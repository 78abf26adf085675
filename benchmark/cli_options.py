"""What several commands take: where datasets lie."""

from pathlib import Path
from typing import Any

import click

from benchmark.errors import UsageError


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
    from benchmark.config import unknown

    for name, _ in places:
        if name not in datasets.folder_names():
            raise UsageError(f"--data: {unknown('dataset', name, datasets.folder_names())}")
    return dict(places)
