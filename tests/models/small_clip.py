"""A CLIP model of two layers, which open_clip knows by the name `NAME` once this file is imported.

Where open_clip is not installed, the tests that import this file are skipped.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

open_clip: Any = pytest.importorskip("open_clip")

NAME = "small-clip"
_CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}

with tempfile.TemporaryDirectory() as _folder:
    (Path(_folder) / f"{NAME}.json").write_text(json.dumps(_CONFIG))
    open_clip.add_model_config(Path(_folder))


def save_small_clip(path: Path, *, seed: int) -> Path:
    """Write random weights of the model, in the names of open_clip's own files."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(**_CONFIG)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path
