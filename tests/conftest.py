"""Small datasets that many tests read. Rendered once a session; a test that changes one works on a copy."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings

import css_gen
from css_gen.cli import main
from css_gen.render import render
from css_gen.storage.configuration import EXTRAS, Configuration
from tests.ray_cluster import cluster  # noqa: F401

CssGen = Callable[..., Result]

# No example has a time limit: the machine may have other work.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_configuration() -> Configuration:
    return Configuration(images=150, size=32, seed=3)


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory, tiny_configuration: Configuration) -> Path:
    """150 images of 32 pixels, in four shards a split. Not to be written to."""
    root = tmp_path_factory.mktemp("tiny") / "css"
    render(root, tiny_configuration, jobs=1)
    return root


@pytest.fixture
def tiny_copy(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A copy of `tiny_dataset` to break."""
    return Path(shutil.copytree(tiny_dataset, tmp_path / "css"))


@pytest.fixture(scope="session")
def rich_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with every column. Not to be written to."""
    root = tmp_path_factory.mktemp("rich") / "css"
    render(root, Configuration(images=40, size=24, names="3d", extras=EXTRAS), jobs=1)
    return root


@pytest.fixture
def run_css_gen() -> CssGen:
    """Run `css-gen` with the given arguments in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def start_css_gen() -> Callable[..., "subprocess.Popen[str]"]:
    """Start `css-gen` as a process of its own, in a session of its own so that a test can signal all of it."""

    def start(*arguments: object, **options: object) -> "subprocess.Popen[str]":
        # A shell makes what it starts in the background ignore Ctrl-C, and so all that this starts.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return subprocess.Popen(
            [sys.executable, "-m", "css_gen.cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(css_gen.__file__).parents[1])},
            **options,  # type: ignore[call-overload]
        )

    return start


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Read every file in a folder, under its path in it; the lock file is left out."""

    def read(root: Path) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.name != ".css-gen.lock"
        }

    return read
