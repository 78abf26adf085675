"""Our picture of CLEVR's stage beside Blender's: Cycles, 512 samples, CLEVR's own assets (../shared/reference)."""

import json
from math import pi
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from css_gen.rendering.render3d import REFLECTANCES, Solid, render_solids
from css_gen.rendering.stage import CLEVR
from css_gen.scenes.factors import Colour

FOLDER = Path(__file__).parents[4] / "shared" / "reference"
SCENES = sorted(FOLDER.glob("cycles_*.json"))


@pytest.mark.skipif(not SCENES, reason=f"the reference pictures are not part of the repository: no {FOLDER}")
@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.stem)
def test_looks_like_cycles(path: Path) -> None:
    content = json.loads(path.read_text())
    solids = [
        Solid(
            shape=item["shape"],
            half_extent=item["half_extent"],
            x=item["x"],
            y=item["y"],
            turn=item["rotation_radians"] / (2 * pi),
            reflectance=REFLECTANCES[Colour(item["colour"])],
            metal=item["material"] == "metal",
        )
        for item in (content["objects"] if isinstance(content, dict) else content)
    ]
    theirs = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
    ours = render_solids(solids, CLEVR, size=len(theirs)).image
    assert structural_similarity(ours, theirs, channel_axis=2, data_range=255) >= 0.97
    assert np.abs(ours.astype(float) - theirs).mean() <= 6
