"""Every example in a docstring of css_gen runs, beside a dataset in data/css."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import css_gen
from css_gen.render import render
from css_gen.storage.configuration import Configuration

MODULES = ["css_gen", *(module.name for module in pkgutil.walk_packages(css_gen.__path__, "css_gen."))]


def examples(name: str) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("doctests")
    render(root / "data" / "css", Configuration(images=40), jobs=1)
    return root


@pytest.mark.parametrize("name", [name for name in MODULES if examples(name)])
def test_examples_in_docstrings(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    for test in examples(name):
        result = doctest.DocTestRunner().run(test)
        assert result.attempted
        assert not result.failed


def test_open_dataset_has_an_example():
    assert examples("css_gen")


def test_importing_the_package_is_light():
    code = "import css_gen, sys; print(css_gen.open_dataset.__name__, *sorted({'numpy', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["open_dataset"]
