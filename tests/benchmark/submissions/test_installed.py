"""What a submission's process may read of this machine's packages."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.submissions import installed


def test_the_metadata_of_an_editable_install_may_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install -e` leaves an egg-info folder in the checkout, and nothing on sys.path that leads there."""
    for folder in ("models", "css_bench.egg-info", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    monkeypatch.setattr(installed, "_OURS", (SimpleNamespace(__path__=[str(tmp_path / "models")]),))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    readable = installed.package_folders()
    assert str(tmp_path) in installed.import_path()
    assert {str(tmp_path / "models"), str(tmp_path / "css_bench.egg-info")} <= {*readable}
    assert not {str(tmp_path), str(tmp_path / "data")} & {*readable}
