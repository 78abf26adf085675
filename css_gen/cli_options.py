"""Types of options of the command line."""

from pathlib import Path
from typing import Any

import click


class Place(click.ParamType[Any]):
    """A folder, as a path, or a URL that fsspec knows, as a string."""

    name = "place"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "FOLDER|URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        return value if isinstance(value, Path) or "://" in value else Path(value)


class Words(click.ParamType[Any]):
    """A comma-separated list of words out of the given ones."""

    name = "words"

    def __init__(self, *words: str, at_least_one: bool = False) -> None:
        self.words = words
        self.at_least_one = at_least_one

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return ",".join(self.words)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        chosen = tuple(word.strip() for word in str(value).split(",") if word.strip())
        for word in chosen:
            if word not in self.words:
                self.fail(f"{word!r} is not one of {', '.join(self.words)}", param, ctx)
        if not chosen and self.at_least_one:
            self.fail(f"name some of {', '.join(self.words)}", param, ctx)
        return tuple(word for word in self.words if word in chosen)


class Share(click.ParamType[Any]):
    """One part of several, as "2/8"."""

    name = "share"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        number, slash, count = str(value).partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            self.fail(f"{value!r} is not one of 1/N, 2/N, ..., N/N", param, ctx)
        return int(number), int(count)
