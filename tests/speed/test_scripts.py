"""Every script of speed/ can be imported, and what README says of speed is what the result says."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SPEED = Path(__file__).parents[2] / "speed"
SCRIPTS = sorted(path.stem for path in SPEED.glob("*.py"))
NEEDS = {"mitsuba_path": "mitsuba", "blender": "bpy"}


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of scripts on the path, as it is when one of them is run."""
    monkeypatch.syspath_prepend(str(SPEED))


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_imported_and_says_what_it_does(name: str) -> None:
    assert load(name).__doc__


@pytest.mark.usefixtures("speed")
@pytest.mark.parametrize("name", sorted(path.stem for path in (SPEED / "peers").glob("*.py")))
def test_every_peer_can_be_imported_where_its_package_is(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    assert load(f"peers.{name}").__doc__


@pytest.mark.usefixtures("speed")
def test_the_functions_whose_time_is_measured_are_there() -> None:
    module = load("core_time")
    for (owner, name), stage in module.PLACES.items():
        assert callable(getattr(owner, name)), name
        assert stage in module.STAGES


@pytest.mark.usefixtures("speed")
def test_the_sentence_says_the_numbers_of_the_result() -> None:
    result = {
        "machine": {"cores": 2, "cpu": "Some CPU"},
        "size": 224,
        "quoted": {"images": 20_000, "seconds": 97.6, "ms_an_image": 4.88},
        "peers": {
            "Blender Cycles": {"seconds_an_image": 28.69, "samples": 512, "ratio": 5879.3},
            "Mitsuba path": {"seconds_an_image": 0.4416, "samples": 64, "ratio": 90.5},
        },
    }
    assert load("render").sentence(result) == (
        "On 2 cores (Some CPU), `css-gen render --n 20000` takes 98 seconds for 20,000 images of 224 pixels, each in "
        "3D and in 2D, written to disk: 4.9 ms an image. On the same cores Blender's Cycles takes 28.7 s for one 3D "
        "image at 512 samples, as CLEVR used, 5,900 times as long; Mitsuba's path tracer takes 0.44 s at 64, 90 times "
        "as long."
    )


def test_readme_quotes_the_result() -> None:
    script = [sys.executable, str(SPEED / "render.py"), "--sentence"]
    if "quoted" not in json.loads((SPEED / "results" / "render.json").read_text()):
        pytest.skip("speed/results/render.json is from before `quoted`: run `make render-bench`")
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    readme = " ".join((SPEED.parent / "README.md").read_text().split())
    assert " ".join(said) in readme
