"""The type of the fixture that runs `tirg-bench` in this process."""

from collections.abc import Callable

from click.testing import Result

TirgBench = Callable[..., Result]
