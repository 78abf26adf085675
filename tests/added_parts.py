"""One of each thing that can be added, as a newcomer writes it.

(path, text) is a new file; (path, place, text) is text behind a place that occurs once in a file that exists.
"""

TASK = (
    "benchmark/tasks/shades.py",
    '''"""Shades: cards of one grey each; find the card that is one step darker or lighter."""

import numpy as np

from benchmark.datasets.splits import Queries, Split
from benchmark.tasks.base import Slice, Task
from benchmark.tasks.registry import register

STEPS = {"one step darker": -1, "one step lighter": 1}


class Shades:
    name, fingerprint, spatial, rendering, skipped = "shades", "5had3s", True, None, {}

    def __init__(self, root, /, *, image_size, reporter, skip_broken):
        greys = np.array([int(word) for word in (root / "greys.txt").read_text().split()])
        images = np.repeat(greys, 3 * image_size**2).astype(np.uint8).reshape(-1, image_size, image_size, 3)
        cards = np.arange(len(greys))
        asked = [(card, text) for card in cards for text in STEPS if card + STEPS[text] in cards]
        sources = np.array([card for card, _ in asked])
        self.train = self.test = Split(
            sources=images,
            gallery=images,
            labels=cards,
            queries=Queries(
                ids=tuple(f"{card}: {text}" for card, text in asked),
                sources=sources,
                targets=np.array([card + STEPS[text] for card, text in asked]),
                source_images=sources,
                texts=tuple(text for _, text in asked),
                attributes={"direction": np.array([text.split()[-1] for _, text in asked])},
            ),
        )


def make(root, reporter):
    root.mkdir(parents=True, exist_ok=True)
    (root / "greys.txt").write_text(" ".join(map(str, range(0, 250, 10))))


register(
    Task(
        name="shades", title="Shades of grey", about="cards of one grey each",
        folder="grey-cards", features="map", images="owned",
        open=Shades,
        make=make,
        slices={"direction": Slice("direction of the step", ("lighter", "darker"))},
    )
)
''',
)

COMPOSER = (
    "models/composers/shifted.py",
    '''"""The image's features, moved by the text's."""

from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.registry import register


@register
class Shifted(Composer):
    """y = x + W t, the same in every cell."""

    info = ComposerInfo(name="shifted", title="Shifted", paper="A newcomer", year=2026, url="https://example.org")

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.shift = nn.Linear(text_width, image_channels)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        shift: Tensor = self.shift(text.pooled)
        return image + (shift[:, :, None, None] if self.spatial else shift)
''',
)

LOSS = (
    "benchmark/training/losses/flat.py",
    '''"""A loss without a slope: nothing is learnt, so a test can tell that it was used."""

from benchmark.training.losses.registry import register


@register("flat")
def flat(query, target, *, positive_mask, generator, config):
    return 0 * (query * target).sum()
''',
)

OPTIMISER = (
    "benchmark/training/optimisers/signs.py",
    '''"""Every weight moves by the learning rate against the sign of its gradient."""

import torch

from benchmark.training.optimisers.groups import parameter_groups
from benchmark.training.optimisers.registry import register


@register("signs")
def signs(network, config):
    return Signs(parameter_groups(network, config, decayed=frozenset()), {"lr": config.learning_rate})


class Signs(torch.optim.Optimizer):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(group["lr"] * weight.grad.sign())
''',
)

TEXT_ENCODER = (
    "models/text_encoders/text_bytes.py",
    '''"""A vector for each byte of a text, and their mean."""

import torch
from torch import nn

from models.base import TextFeatures
from models.text_encoders.base import TextEncoder, register


@register("text_bytes")
class TextBytes(TextEncoder):
    def __init__(self, tokenizer, settings):
        super().__init__(tokenizer, settings)
        self.table = nn.Embedding(256, settings.text_width)

    @classmethod
    def tokenizer_of(cls, texts, settings):
        return {"format": "bytes"}

    def tokenize(self, texts):
        rows = [torch.tensor(list(text.encode())) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return ids, torch.arange(ids.shape[1]) < lengths[:, None]

    def forward(self, ids, mask):
        tokens = self.table(ids) * mask[:, :, None]
        return TextFeatures(tokens.sum(dim=1) / mask.sum(dim=1, keepdim=True), tokens, mask)
''',
)

IMAGE_ENCODER = (
    "models/image_encoders/patches.py",
    '''"""One layer on patches of 8 x 8 pixels."""

from collections import OrderedDict

from torch import nn

from models.image_encoders.base import ImageEncoder, register


@register("patches")
def patches() -> ImageEncoder:
    layers = OrderedDict(patches=nn.Conv2d(3, 12, 8, stride=8), relu=nn.ReLU())
    return ImageEncoder(layers, channels=12, reduction=8)
''',
)

COLUMNS = "    return (\n        Column(\n"
"""Where the columns begin."""

METRIC = (
    (
        "benchmark/scoring/metrics.py",
        "    _metrics.append(compute)\n    return compute\n",
        '''

@metric
def _reciprocal_rank(outcomes: Outcomes) -> Scores:
    """The mean over the queries, in percent; an unanswered query counts 0."""
    return {"mrr": 100.0 * float((1 / outcomes.ranks[outcomes.relevant > 0]).sum()) / len(outcomes)}
''',
    ),
    (
        "benchmark/leaderboard/columns.py",
        COLUMNS,
        """            heading="MRR",
            on=("ranking", "terminal", "site"),
            text=lambda row: NOTHING if (mrr := row.scores[ALL].scores.get("mrr")) is None else f"{mrr:.2f}",
            csv={"mrr": lambda row: row.scores[ALL].scores.get("mrr")},
        ),
        Column(
""",
    ),
)

COLUMN = (
    "benchmark/leaderboard/columns.py",
    COLUMNS,
    """            heading="Share",
            on=("cost", "terminal", "site"),
            text=lambda row: f"{row.parameters.composer / row.parameters.total:.2%}",
            csv={"share": lambda row: row.parameters.composer / row.parameters.total},
        ),
        Column(
""",
)

SLICE = (
    "benchmark/datasets/rendered_css.py",
    "        attributes={\n",
    """            "words": np.array([str(len(row.text.split())) for row in rows]),
""",
)

KIND = (
    (
        "css_gen/scenes/modification/resize.py",
        '''"""Give every matching object its other size."""

from dataclasses import dataclass, replace

from css_gen.scenes.factors import Size
from css_gen.scenes.matching import Needs, selected_by
from css_gen.scenes.modification.program import register
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.modification.words import NOUN, PLACE, located_noun
from css_gen.scenes.scene import Scene
from css_gen.scenes.selector import Selector

OTHER = {Size.SMALL: Size.LARGE, Size.LARGE: Size.SMALL}


@register
@dataclass(frozen=True)
class Resize(Rewrite):
    selector: Selector

    kinds = ("resize",)
    form = "resize [cell] [size] [colour] shape"
    grammar = f"resize (?:{PLACE} )?{NOUN}"

    def text_with(self, names):
        return f"resize {located_noun(self.selector, names)}"

    def needs(self, combinations):
        return Needs(selected_by(self.selector), 0)

    def postcondition(self):
        resized = selected_by(replace(self.selector, size=OTHER.get(self.selector.size)))
        return Needs(resized, selected_by(self.selector) & ~resized)

    @classmethod
    def draw(cls, kind, selector, lender, combinations, *, rng):
        return cls(selector)

    def _rewrite(self, scene):
        match = self.selector.matches
        return Scene(tuple(replace(item, size=OTHER[item.size]) if match(item) else item for item in scene))
''',
    ),
    (
        "css_gen/scenes/sampling.py",
        'TURNS = ("add", "remove", "make-colour", "add", "remove", "make-size"',
        ', "resize"',
    ),
)

EXPORTER = (
    "css_gen/export/texts.py",
    '''"""The texts alone, a file for each split."""


def export_texts(dataset, out, on_progress):
    for name in dataset.split_names:
        (out / f"{name}.txt").write_text("".join(f"{query.text}\\n" for query in dataset.split(name).iter_queries()))
''',
)

ADDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "task": (TASK,),
    "composer": (COMPOSER,),
    "loss": (LOSS,),
    "optimiser": (OPTIMISER,),
    "metric": METRIC,
    "slice": (SLICE,),
    "kind of modification": KIND,
    "exporter": (EXPORTER,),
    "table column": (COLUMN,),
    "text encoder": (TEXT_ENCODER,),
    "image encoder": (IMAGE_ENCODER,),
}
"""All that each takes."""
