"""The parts of a recipe: every key with its default, its bounds, and when it has no effect."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmark.recipe.hashing import InertWhen, WrittenAs, hashed_group_size, hashed_repeats

if TYPE_CHECKING:
    from benchmark.recipe.schema import Recipe

Text = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line without control characters, because tables show it."""


def _has_no_groups(recipe: "Recipe") -> bool:
    """Whether the loss draws no groups, so that K and M are ignored."""
    return recipe.training.loss == "random_triplets"


def _has_no_lstm(recipe: "Recipe") -> bool:
    """Whether the text encoder is known to read texts that are encoded already, or by an open_clip model."""
    return recipe.model.text_encoder == "sentence_file" or recipe.model.text_encoder.startswith("open_clip/")


def _groups(others: int, size: int, *, at_most: int) -> int:
    """C(others, size), or any number from `at_most` on if it is larger: the exact one may have millions of digits."""
    found = 1
    for chosen in range(min(size, others - size)):
        found = found * (others - chosen) // (chosen + 1)
        if found >= at_most:
            break
    return found


class Part(BaseModel):
    """Keys that belong together: frozen, and without unknown ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_one_zero(self) -> Self:
        """-0.0 equals 0.0 but has another spelling in JSON, so it would change the hash."""
        for name in type(self).model_fields:
            if isinstance(value := getattr(self, name), float):
                self.__dict__[name] = value + 0.0
        return self


class DataRecipe(Part):
    """`image_size`: width and height in pixels of the images that the network sees."""

    image_size: int = Field(default=32, ge=8, le=1024)


class ModelRecipe(Part):
    """The encoders and the head, which all composers of a leaderboard share.

    Attributes:
        image_encoder: a name of `models.image_encoders`.
        pretrained: "" for random weights, "torchvision" for its ImageNet weights, or the path of a local weights file,
            to which a run adds "@sha256:" and the digest of its content. The digest is hashed, the path is not.
            For an encoder of open_clip a tag may precede the path, as `TAG=PATH`: it is hashed.
        text_encoder: a name of `models.text_encoders`.
        text_weights: of a text encoder that reads some: the path of their file, with the digest in the same way.
        text_width: of a word's embedding and of the text feature.
        state_width: of the LSTM that reads the words.
        embedding_width: of the vectors that are compared.
        dropout: on the text feature, as in the paper's encoder.
    """

    image_encoder: Text = "small_resnet"
    pretrained: Text = ""
    text_encoder: Text = "word_lstm"
    text_weights: Annotated[Text, InertWhen(lambda recipe: recipe.model.text_encoder == "word_lstm")] = ""
    text_width: int = Field(default=512, ge=1, le=8192)
    state_width: Annotated[int, InertWhen(_has_no_lstm)] = Field(default=512, ge=1, le=8192)
    embedding_width: int = Field(default=512, ge=1, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TrainingRecipe(Part):
    """One step sees `sources` times `modifications` queries: that many modifications of each of that many images.

    Attributes:
        steps: of the optimiser.
        loss: a name of `benchmark.training.losses`. "random_triplets" is google/tirg's; it draws no groups.
        optimiser: a name of the training's optimisers. "muon" is Muon for the weights of linear and convolution layers
            in image encoder and composer, and AdamW for everything else.
        learning_rate: at its peak, after `warmup` (a share of the steps).
        muon_lr: Muon's own learning rate at its peak.
        scale_factor: the learning rate of the embeddings' scale as a multiple of the others'.
        encoder_factor: the image encoder's learning rate as a share of the others'.
        momentum: of SGD.
        schedule: "cosine" to nothing, "constant", or "steps" (times `decay` every `decay_every` steps).
        group_size: the K of the paper's loss, "batch" for K = B.
        repeats: the paper's M, how many groups of K - 1 negatives each query gets. "all" is M = B - 1, or 1 where a
            group is the whole batch. The paper's soft triplet loss is group_size=2 together with repeats=all;
            group_size=2 alone compares each query with one other target.
        symmetric: the loss is the mean of two: each query finds its target, and each target finds its query.
        auxiliary: the weight of a composer's own loss (`Composer.auxiliary`), which is added to the loss. It changes
            nothing for a composer without one; at 0 such a loss is not computed.
        memory: how many earlier batches' targets are negatives, too, where a group is the whole batch.
        memory_start: share of the steps before the memory is used.
        precision: "fp32", or "bf16" for autocast.
        shift: images are moved by up to so many pixels, drawn per image; the edge is repeated.
        brightness: images become darker or brighter by up to this share.
        mirror: each batch has left and right exchanged with probability 1/2, in its images and in its texts.
        mined_texts: a query's text is drawn in every step from all texts that ask for its target of its source, which
            needs the scenes of the training images.
        exchange_channels: each batch has its red, green and blue in another order with probability 1/2, in its images,
            and other names for the colours in its texts; only for the texts of css. Such a step neither uses the memory
            nor adds to it.
        read_shapes: the weight of a loss by which a linear layer predicts the shape in each cell of the grid, from the
            features of the target; it needs the scenes of the training images. At 0 there is no such layer. It changes
            nothing in a frozen image encoder.
    """

    steps: int = Field(default=1_000, ge=1, le=10_000_000)
    sources: int = Field(default=32, ge=1, le=65_536)
    modifications: int = Field(default=4, ge=1, le=1024)
    loss: Text = "sample_similarity"
    optimiser: Text = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    muon_lr: Annotated[float, InertWhen(lambda recipe: recipe.training.optimiser in ("adamw", "sgd"))] = Field(
        default=0.02, gt=0, le=100
    )
    scale_factor: float = Field(default=1.0, ge=0, le=1000)
    encoder_factor: float = Field(default=1.0, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    momentum: Annotated[float, InertWhen(lambda recipe: recipe.training.optimiser in ("adamw", "muon"))] = Field(
        default=0.9, ge=0, lt=1
    )
    schedule: Literal["cosine", "constant", "steps"] = "constant"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    decay: Annotated[float, InertWhen(lambda recipe: recipe.training.schedule != "steps")] = Field(
        default=0.1, gt=0, le=1
    )
    decay_every: Annotated[int, InertWhen(lambda recipe: recipe.training.schedule != "steps")] = Field(
        default=50_000, ge=1
    )
    group_size: Annotated[
        Literal["batch"] | Annotated[int, Field(ge=2)], InertWhen(_has_no_groups), WrittenAs(hashed_group_size)
    ] = "batch"
    repeats: Annotated[
        Literal["all"] | Annotated[int, Field(ge=1)],
        InertWhen(_has_no_groups),
        InertWhen(lambda recipe: recipe.training.loss == "sample_similarity" and recipe.training.has_one_group),
        WrittenAs(hashed_repeats),
    ] = 1
    symmetric: Annotated[bool, InertWhen(_has_no_groups)] = False
    auxiliary: float = Field(default=1.0, ge=0, le=1000)
    memory: Annotated[int, InertWhen(lambda recipe: recipe.training.remembered == 0)] = Field(default=0, ge=0, le=1024)
    memory_start: Annotated[float, InertWhen(lambda recipe: recipe.training.remembered == 0)] = Field(
        default=0.5, ge=0, le=1
    )
    precision: Literal["fp32", "bf16"] = "fp32"
    shift: int = Field(default=0, ge=0, le=64)
    brightness: float = Field(default=0.0, ge=0, lt=1)
    mirror: bool = False
    mined_texts: bool = False
    exchange_channels: bool = False
    read_shapes: float = Field(default=0.0, ge=0, le=1000)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.batch < 2:
            raise ValueError(
                "training.sources and training.modifications are both 1: a query needs the target of another one as "
                "its negative, so raise one of them"
            )
        if self.group > self.batch:
            raise ValueError(f"training.group_size is {self.group} and a batch has {self.batch} queries")
        if self.remembered and self.mirror:
            raise ValueError(f"training.memory={self.memory} cannot be used with training.mirror=true; switch one off")
        most = _groups(self.batch - 1, self.group - 1, at_most=self.groups)
        if self.groups > most:
            raise ValueError(
                f"training.repeats is {self.groups}, and there {'is' if most == 1 else 'are'} only {most} different "
                f"group{'' if most == 1 else 's'} of {self.group} in a batch of {self.batch} (training.group_size="
                f"{self.group_size}): lower training.repeats to at most {most}"
            )
        return self

    @property
    def batch(self) -> int:
        """Queries a step, the paper's B."""
        return self.sources * self.modifications

    @property
    def group(self) -> int:
        """The paper's K as a number."""
        return self.batch if self.group_size == "batch" else self.group_size

    @property
    def groups(self) -> int:
        """The paper's M as a number."""
        if self.repeats != "all":
            return self.repeats
        return 1 if self.has_one_group else self.batch - 1

    @property
    def remembered(self) -> int:
        """`memory` where it has an effect, else 0: other losses and smaller groups take the batch alone."""
        return self.memory if self.loss == "sample_similarity" and self.has_one_group else 0

    @property
    def has_one_group(self) -> bool:
        """Whether a group is the whole batch, so that there is one way to draw it."""
        return self.group == self.batch


class EvaluationRecipe(Part):
    """The split to score, and the size of the validation part.

    Attributes:
        split: "test", or "validation" to choose a recipe by: such a record never reaches a leaderboard.
        held_out: share of the training sources, the last ones, that are the validation part and not trained on.
        held_out_combinations: how many of CSS's shape-colour combinations to hold out: no image that is trained on
            shows one, and a quarter of the validation queries are about them. No effect where the test split is scored.
    """

    split: Literal["test", "validation"] = "test"
    held_out: float = Field(default=0.02, ge=0, lt=1)
    held_out_combinations: Annotated[int, InertWhen(lambda recipe: recipe.evaluation.split == "test")] = Field(
        default=0, ge=0, le=12
    )
