"""One training step, from the batch to the new weights, without waiting for the device."""

from collections.abc import Callable
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.image_store import ImageStore, maybe_mirrored, mirrored_text
from benchmark.datasets.relevance import RelevanceLookup
from benchmark.datasets.splits import Split
from benchmark.device import keep_freed_memory, memory_advice
from benchmark.recipe.identity import Run
from benchmark.training.compiling import compiler_advice
from benchmark.training.losses import batch_loss
from benchmark.training.memory import EMPTY, TargetMemory
from benchmark.training.model import require_texts
from benchmark.training.optimisers import make_optimiser
from benchmark.training.randomness import Purpose, stream_seed
from benchmark.training.samplers import Sampler
from benchmark.training.schedule import schedule
from models.network import Network


class Session:
    """A network in training with all that its steps need, on the device.

    What a step does to the weights depends on them, the optimiser's state, the memory, the seed and the step's number
    alone: batch, dropout, augmentation and the loss's draws all come from (seed, step), each by a stream of its own.

    Args:
        split: the training images, texts, labels and relevant labels.
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
        self._is_relevant = None if split.relevant is None else RelevanceLookup(split.relevant, device)
        self._memory_start = round(self.config.memory_start * self.config.steps)
        self.memory = TargetMemory(self.config.remembered * self.config.batch, network.head.out_features, device)
        self._count = len(split.texts)
        texts = [*split.texts, *(map(mirrored_text, split.texts) if self.config.mirror else ())]
        require_texts(network, texts)
        self._ids, self._mask = (part.to(device) for part in network.text_encoder.tokenize(texts))

    def step(self, step: int) -> Tensor:
        """Take step number `step`, from 0; the loss, a scalar, stays on the device.

        Raises:
            BenchmarkError: memory ran out (the message names the options to lower), or the network is to be compiled
                and there is no compiler that works.
        """
        config = self.identity.recipe
        options = f"training.sources (now {self.config.sources}) or data.image_size (now {config.data.image_size})"
        with memory_advice(f"at step {step + 1} of {self.identity}", options, self.config.precision), compiler_advice():
            return self._step(step)

    def learning_rate(self, step: int) -> float:
        return self.config.learning_rate * schedule(self.config, step)

    def _step(self, step: int) -> Tensor:
        config, device = self.config, self._device
        torch.manual_seed(stream_seed(self.identity.seed, step, Purpose.LAYERS))
        augmentation, draws = (
            torch.Generator(device).manual_seed(stream_seed(self.identity.seed, step, purpose))
            for purpose in (Purpose.AUGMENTATION, Purpose.LOSS)
        )
        batch = self._sampler.batch(step)
        sources, group, texts, targets, queries = (
            torch.from_numpy(rows).to(device, non_blocking=True)
            for rows in (batch.sources, batch.group, batch.texts, batch.targets, batch.queries)
        )
        augment = partial(
            ImageStore.augmented, shift=config.shift, brightness=config.brightness, generator=augmentation
        )
        images = torch.cat([augment(self._sources, sources), augment(self._gallery, targets)])
        if self.config.mirror:
            images, texts = maybe_mirrored(images, texts, count=self._count, generator=augmentation)
        with self._accelerator.autocast():
            query, target = self._model(
                images, group, self._ids.index_select(0, texts), self._mask.index_select(0, texts)
            )
        labels = self._labels.index_select(0, targets)
        others, others_labels = target, labels
        if step >= self._memory_start:
            others, others_labels = self.memory.joined(target, labels, self.network.scale)
        positives = self._positives(queries, labels, others_labels)
        loss = batch_loss(query, others, positive_mask=positives, generator=draws, config=config)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = self.learning_rate(step) * parameters["factor"]
        self._accelerator.backward(loss)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.memory.add(target, labels)
        return loss.detach()

    def _positives(self, queries: Tensor, labels: Tensor, others: Tensor) -> Tensor:
        """bool (B, T), true where target j answers query i: it has a relevant label, as that of the query's own is.

        Args:
            queries: (B,) rows of the split's queries.
            labels: (B,) of their own targets.
            others: (T,) of all targets; empty places of the memory count as answers, so that they are no negatives.
        """
        positives = (labels[:, None] == others[None, :]) | (others == EMPTY)
        return positives if self._is_relevant is None else positives | self._is_relevant(queries, others)
