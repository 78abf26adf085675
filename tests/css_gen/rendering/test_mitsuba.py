"""Our renderer beside Mitsuba 3: where objects are, how far, and how brightly plain matte ones are lit.

The same scenes, jitter, camera and lights; floor flat, objects matte, edges sharp, nothing bounced: the backdrop, coat,
rounded edges and bounced light are our approximations of CLEVR's look, and Blender is what those are held to.

What still differs, and why: Mitsuba intersects in single precision, so that a pixel whose centre lies next to an
outline may fall on the other side of it. Its light is a Monte Carlo estimate and has noise; ours looks at a lamp
through sixteen fixed points (penumbras have sixteen steps), takes a lamp's strength and direction at its centre,
interpolates the open floor's light over tiles, shades a pixel once a surface, and is rounded to eight bits.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from css_gen.rendering.nuisance import Jitter, Nuisance, sample_nuisance
from css_gen.rendering.render3d import Rendering, render_3d
from css_gen.rendering.stage import VIEWS, Stage, jittered
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject

mi = pytest.importorskip("mitsuba", reason="Mitsuba is not installed; `pip install -e '.[peers]'` brings it")

from tests.css_gen.rendering import mitsuba_scene  # noqa: E402  # it imports mitsuba

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]

SCENES = 20
SIZE = 224
LIGHT_SAMPLES = 16
LEAST_DECIBELS = 46
"""40 would let a key light pass that is a tenth too bright; these scenes have 48 to 57."""


def plain(stage: Stage) -> Stage:
    """A stage without what the two renderers cannot share."""
    return replace(stage, backdrop=(), gloss=False, bounce=False, rounding=0.0)


@pytest.fixture(autouse=True)
def plain_views(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, stage in list(VIEWS.items()):
        monkeypatch.setitem(VIEWS, f"plain {name}", plain(stage))


@cache
def random_scenes() -> tuple[tuple[Scene, Nuisance], ...]:
    """One to nine objects each, all factors uniform, every nuisance drawn."""
    rng = np.random.default_rng(20)
    drawn = []
    for _ in range(SCENES):
        cells = rng.permutation(len(Cell))[: rng.integers(1, len(Cell) + 1)]
        objects = (
            SceneObject(
                list(Cell)[cell], *(list(factor)[rng.integers(len(factor))] for factor in (Size, Colour, Shape))
            )
            for cell in cells
        )
        drawn.append((Scene(tuple(objects)), sample_nuisance(Jitter(), rng=rng)))
    return tuple(drawn)


def renderings(view: str) -> Iterator[tuple[Scene, Nuisance, Stage, Rendering]]:
    for scene, nuisance in random_scenes():
        stage = jittered(VIEWS[f"plain {view}"], nuisance)
        yield scene, nuisance, stage, render_3d(scene, nuisance, size=SIZE, view=f"plain {view}")


def mask_and_depth(scene: Scene, nuisance: Nuisance, stage: Stage) -> tuple[NDArray[np.intp], Floats]:
    """What Mitsuba meets on the rays through the pixels' centres: 0 for the floor, 1 + cell index; and how far."""
    centres = {"type": "stratified", "sample_count": 1, "jitter": False}
    loaded = mitsuba_scene.load(
        {
            "sensor": mitsuba_scene.camera(stage.camera, size=SIZE, sampler=centres),
            "integrator": {"type": "aov", "aovs": "point:position,part:shape_index"},
            **mitsuba_scene.floor(stage),
            **mitsuba_scene.objects(scene, nuisance, stage),
        }
    )
    channels = np.array(mi.render(loaded), np.float64)
    numbers = np.array([1 + mitsuba_scene.cell_of(scene, shape.id()) for shape in loaded.shapes()])
    back = np.subtract(stage.camera.position, stage.camera.aim)
    depth = (np.array(stage.camera.position) - channels[..., :3]) @ (back / np.linalg.norm(back))
    return numbers[channels[..., 3].astype(int) - 1], depth


def lit(scene: Scene, nuisance: Nuisance, stage: Stage, near: float, seed: int) -> Floats:
    """Mitsuba's image, linear: the sum over the lights, since one lamp would shade another.

    Args:
        near: nothing nearer is seen. The key light hangs in front of the camera, and would hide what is behind it.
    """
    image = np.zeros((SIZE, SIZE, 3))
    for number, light in enumerate(mitsuba_scene.lights(stage)):
        sampler = {"type": "multijitter", "sample_count": LIGHT_SAMPLES}
        loaded = mitsuba_scene.load(
            {
                "sensor": mitsuba_scene.camera(stage.camera, size=SIZE, sampler=sampler, near=near),
                "integrator": {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0},
                "light": light,
                **mitsuba_scene.floor(stage),
                **mitsuba_scene.objects(scene, nuisance, stage),
            }
        )
        image += np.array(mi.render(loaded, seed=4 * seed + number))
    return image


def srgb(linear: Any) -> Floats:
    clipped = np.clip(linear, 0, 1)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_silhouettes_and_depth_are_mitsubas(view: str) -> None:
    overlaps = []
    for scene, nuisance, stage, ours in renderings(view):
        mask, depth = mask_and_depth(scene, nuisance, stage)
        np.testing.assert_allclose(ours.depth[ours.mask == mask], depth[ours.mask == mask], rtol=1e-3)
        for item in scene:
            here, there = ours.mask == 1 + item.cell.index, mask == 1 + item.cell.index
            assert here.any(), f"{item} is nowhere to be seen"
            overlaps.append((here & there).sum() / (here | there).sum())
    assert min(overlaps) >= 0.995
    assert np.mean(overlaps) >= 0.9999


def test_direct_light_on_matte_objects_is_mitsubas() -> None:
    for number, (scene, nuisance, stage, ours) in enumerate(renderings("grid")):
        theirs = srgb(lit(scene, nuisance, stage, 0.99 * float(ours.depth.min()), number))
        difference = theirs - ours.image / 255
        ratio = -10 * np.log10(np.mean(difference**2))
        assert ratio >= LEAST_DECIBELS, f"scene {number}: {ratio:.1f} dB"
        assert abs(difference.mean()) < 5e-4, f"scene {number}: {difference.mean():+.4f} brighter"
