"""One step of training: batch, embeddings, loss, gradient, weights; nothing in it waits for the device."""

import math
from collections.abc import Callable
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.splits import Split
from benchmark.device import keep_freed_memory, memory_advice
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import TrainingRecipe
from benchmark.training.losses import sample_similarity_loss
from benchmark.training.muon import Muon
from benchmark.training.samplers import Sampler, noise_seed
from models.network import Network


class Session:
    """A network in training with all that its steps need, on the device.

    What a step does to the weights depends on them, the optimiser's state, the seed and the step's number alone: batch,
    dropout, augmentation and the loss's draws all come from (seed, step).

    Args:
        split: the training images, texts and labels.
        identity: the run's; holds its recipe and seed.
        compiled: whether torch.compile makes the network's code.
    """

    def __init__(
        self,
        network: Network,
        split: Split,
        sampler: Sampler,
        identity: Run,
        accelerator: Accelerator,
        *,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.identity = identity
        self.config = identity.recipe.training
        self._accelerator = accelerator
        self._sampler = sampler
        self._device = device = accelerator.device
        if device.type == "cpu":
            keep_freed_memory()
        network.arrange(device, identity.recipe.data.image_size)
        network.train()
        self.optimiser = make_optimiser(network, self.config)
        self._model: Callable[..., tuple[Tensor, Tensor]] = torch.compile(network) if compiled else network
        self._gallery = ImageStore(split.gallery, device)
        self._sources = self._gallery if split.sources is split.gallery else ImageStore(split.sources, device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._ids, self._mask = (part.to(device) for part in network.text_encoder.tokenize(split.texts))

    def step(self, step: int) -> Tensor:
        """Take step number `step`, from 0; the loss, a scalar, stays on the device.

        Raises:
            BenchmarkError: memory ran out; the message names the options to lower.
        """
        config = self.identity.recipe
        options = f"training.sources (now {self.config.sources}) or data.image_size (now {config.data.image_size})"
        with memory_advice(f"at step {step + 1} of {self.identity}", options, self.config.precision):
            return self._step(step)

    def learning_rate(self, step: int) -> float:
        return self.config.learning_rate * schedule(self.config, step)

    def _step(self, step: int) -> Tensor:
        config, device = self.config, self._device
        seed = noise_seed(self.identity.seed, step)
        torch.manual_seed(seed)
        generator = torch.Generator(device).manual_seed(seed)
        batch = self._sampler.batch(step)
        sources, group, texts, targets = (
            torch.from_numpy(rows).to(device, non_blocking=True)
            for rows in (batch.sources, batch.group, batch.texts, batch.targets)
        )
        augment = partial(ImageStore.augmented, shift=config.shift, brightness=config.brightness, generator=generator)
        images = torch.cat([augment(self._sources, sources), augment(self._gallery, targets)])
        labels = self._labels.index_select(0, targets)
        with self._accelerator.autocast():
            query, target = self._model(
                images, group, self._ids.index_select(0, texts), self._mask.index_select(0, texts)
            )
        loss = sample_similarity_loss(
            query,
            target,
            group_size=config.group,
            repeats=config.groups,
            generator=generator,
            positive_mask=labels[:, None] == labels[None, :],
        )
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = self.learning_rate(step) * parameters["factor"]
        self._accelerator.backward(loss)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.detach()


def make_optimiser(network: Network, config: TrainingRecipe) -> torch.optim.Optimizer:
    """Each group's "factor" times the scheduled learning rate is its own. AdamW decays weight matrices alone."""
    encoder = {id(parameter) for parameter in network.image_encoder.parameters()}
    orthogonal = _layer_weights(network.image_encoder, network.composer) if config.optimiser == "muon" else set()
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        is_orthogonal = id(parameter) in orthogonal
        factor = config.encoder_factor if id(parameter) in encoder else 1.0
        if is_orthogonal:
            factor *= config.muon_lr / config.learning_rate
        elif parameter is network.scale:
            factor = config.scale_factor
        decay = config.weight_decay if parameter.ndim > 1 or config.optimiser == "sgd" else 0.0
        if parameter.requires_grad:
            groups.setdefault((factor, decay, is_orthogonal), []).append(parameter)
    options = [
        {"params": parameters, "factor": factor, "weight_decay": decay, "orthogonal": is_orthogonal}
        for (factor, decay, is_orthogonal), parameters in groups.items()
    ]
    if config.optimiser == "sgd":
        return torch.optim.SGD(options, lr=config.learning_rate, momentum=config.momentum, fused=True)
    kind = Muon if config.optimiser == "muon" else torch.optim.AdamW
    return kind(options, lr=config.learning_rate, fused=True)


def _layer_weights(*modules: nn.Module) -> set[int]:
    """Of linear and convolution layers; embeddings and recurrent layers are no such matrices."""
    layers = (layer for module in modules for layer in module.modules())
    return {id(layer.weight) for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)}


def schedule(config: TrainingRecipe, step: int) -> float:
    """The learning rate of a step, 0 to `steps` - 1, as a share of its peak."""
    warmup = round(config.warmup * config.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * (step - warmup) / (config.steps - warmup))) / 2
    if config.schedule == "steps":
        return config.decay ** (step // config.decay_every)
    return 1.0
