"""The ablations of the TIRG paper: without residual or gate, where the image is modified, and the K of the loss."""

from benchmark.ablations.base import Ablation, Setting
from benchmark.ablations.registry import register


def _published(css: float, fashion200k: float, mit_states: float) -> dict[str, float]:
    """The paper's numbers by task. They are of the original CSS: on `css`, for reference only."""
    return {"css": css, "css-original": css, "fashion200k": fashion200k, "mit-states": mit_states}


_PLAIN = ("training.loss=sample_similarity", "training.symmetric=false", "training.memory=0")
"""The paper's loss, without what a preset may add to it."""

register(
    Ablation(
        composer="tirg",
        title="Ablations of TIRG",
        paper="Vo et al., Composing Text and Image for Image Retrieval - an Empirical Odyssey, CVPR 2019",
        source="T",
        settings=(
            Setting(title="full", about="TIRG with the preset's recipe", published=_published(73.7, 14.1, 12.2)),
            Setting(
                title="gate only",
                about="y = w0 sigmoid(gate) * x: no residual",
                composer="tirg_gate_only",
                published=_published(6.5, 13.9, 7.1),
            ),
            Setting(
                title="residual only",
                about="y = w1 residual: no gate",
                composer="tirg_residual_only",
                published=_published(60.6, 12.1, 11.9),
            ),
            Setting(
                title="last linear layer",
                about="the pooled vector is modified, not the feature map",
                tasks={"css": "css-pooled", "fashion200k": "fashion200k", "mit-states": "mit-states"},
                published=_published(71.2, 14.1, 12.2),
            ),
            Setting(
                title="last convolution",
                about="the feature map is modified",
                tasks={"css": "css", "css-2d3d": "css-2d3d", "css-original": "css-original"},
                published=_published(73.7, 12.4, 10.3),
            ),
            Setting(
                title="K = 2",
                about="the paper's soft triplet loss: each query against every other target, one at a time",
                changes=(*_PLAIN, "training.group_size=2", "training.repeats=all"),
                published=_published(73.7, 9.5, 12.2),
            ),
            Setting(
                title="K = B",
                about="softmax over all targets of the batch",
                changes=(*_PLAIN, "training.group_size=batch"),
                published=_published(69.8, 14.1, 10.9),
            ),
        ),
    )
)
