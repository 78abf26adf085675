"""One training step, from the batch to the new weights, without waiting for the device."""

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.exchanged_channels import ChannelExchange, exchanged_texts
from benchmark.datasets.image_store import ImageStore, maybe_mirrored, mirrored_text
from benchmark.datasets.relevance import RelevanceLookup
from benchmark.datasets.splits import Rows, Split
from benchmark.device import keep_freed_memory, memory_advice
from benchmark.errors import UsageError
from benchmark.recipe.identity import Run
from benchmark.scoring.frozen_features import MapStore, frozen_maps
from benchmark.scoring.processes import ALONE, Processes
from benchmark.training.compiling import compiler_advice
from benchmark.training.graph import RepeatedStep
from benchmark.training.losses import batch_loss
from benchmark.training.memory import EMPTY, TargetMemory
from benchmark.training.model import require_texts
from benchmark.training.optimisers import make_optimiser
from benchmark.training.randomness import stream_seed
from benchmark.training.samplers import Batch, Sampler
from benchmark.training.schedule import schedule
from benchmark.training.shape_reader import mirrored_shapes, new_reader, shape_loss
from benchmark.training.shared_layers import share_layers
from models.network import Network

Store = ImageStore | MapStore

UPLOADED = 64
"""Steps whose rows are moved to the device at once."""


class Session:
    """A network in training with all that its steps need, on the device.

    What a step does to the weights depends on them, the optimiser's state, the memory, the seed and the step's number
    alone.

    A step has two parts. The host's fills tensors that keep their place: the batch's rows, each parameter group's
    learning rate, and whether the memory is used; and it seeds torch's default generators. The device's is a function
    of these tensors, the weights, the optimiser's state and the memory. It reads nothing back and holds no Python
    number that changes, so that a GPU can repeat it as one CUDA graph. It draws, in this order, what augmentation, the
    network's layers and the loss need.

    Args:
        split: the training images, texts, labels and relevant labels.
        identity: the run's; holds its recipe and seed.
        compiled: whether torch.compile makes the network's code.
        graph: whether a GPU repeats the step as one CUDA graph. A composer in a process of its own cannot be captured.
        note: called with one line if the step cannot be captured; it is then taken as it is.
        processes: that take the same steps together. Each makes the images of the whole batch, so that draws are those
            of one process, encodes its share, and computes the loss of all.
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
        graph: bool = False,
        note: Callable[[str], None] = lambda _: None,
        processes: Processes = ALONE,
    ) -> None:
        self.network = network
        self.identity = identity
        self.config = identity.recipe.training
        self._accelerator = accelerator
        device = accelerator.device
        if device.type == "cpu":
            keep_freed_memory()
        network.arrange(device, identity.recipe.data.image_size)
        network.train()
        self._shapes, network.reader = None, None
        if self.config.read_shapes:
            if split.shapes is None:
                raise UsageError("training.read_shapes: the shapes in the training images are not known; set it to 0")
            self._shapes = torch.from_numpy(split.shapes).to(device)
            network.reader = new_reader(network, image_size=identity.recipe.data.image_size, seed=identity.seed)
        self._processes = processes
        share_layers(network, processes)
        self.optimiser = make_optimiser(network, self.config)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = torch.tensor(0.0, device=device)
        with processes.leader_first():
            self._gallery, self._sources = self._stores(split, note)
        forward = network.from_maps if isinstance(self._gallery, MapStore) else network
        self._model: Callable[..., tuple[Tensor, ...]] = torch.compile(forward) if compiled else forward
        self._has_auxiliary = self.config.auxiliary > 0 and network.composer.has_auxiliary
        self._labels = torch.from_numpy(split.labels).to(device)
        self._is_relevant = None if split.relevant is None else RelevanceLookup(split.relevant, device)
        self.memory = TargetMemory(self.config.remembered * self.config.batch, network.head.out_features, device)
        self._memory_start = round(self.config.memory_start * self.config.steps)
        texts = [*split.texts, *(map(mirrored_text, split.texts) if self.config.mirror else ())]
        self._count, self._count_of_an_order = len(split.texts), len(texts)
        self._exchange = ChannelExchange(device) if self.config.exchange_channels else None
        if self._exchange is not None:
            texts = exchanged_texts(texts)
        require_texts(network, texts)
        self._ids, self._mask = (part.to(device) for part in network.text_encoder.tokenize(texts))
        self._rows = BatchRows(sampler, self.config.steps, device)
        is_repeated = graph and device.type == "cuda"
        self._advance = RepeatedStep(self.device_part, device, note) if is_repeated else self.device_part

    def step(self, step: int) -> Tensor:
        """Take step number `step`, from 0; the loss, a scalar, stays on the device.

        Raises:
            BenchmarkError: memory ran out (the message names the options to lower), or the network is to be compiled
                and there is no compiler that works.
        """
        config = self.identity.recipe
        options = f"training.sources (now {self.config.sources}) or data.image_size (now {config.data.image_size})"
        with memory_advice(f"at step {step + 1} of {self.identity}", options, self.config.precision), compiler_advice():
            self.host_part(step)
            return self._advance()

    def learning_rate(self, step: int) -> float:
        return self.config.learning_rate * schedule(self.config, step)

    def host_part(self, step: int) -> None:
        """Prepare step number `step` for `device_part`, without waiting for the device."""
        self._rows.fill(step)
        for parameters in self.optimiser.param_groups:
            parameters["lr"].fill_(self.learning_rate(step) * parameters["factor"])
        self.memory.is_used.fill_(step >= self._memory_start)
        torch.manual_seed(stream_seed(self.identity.seed, step))

    def device_part(self) -> Tensor:
        """Forward, loss, backward and the optimiser for the prepared step; the loss, a scalar on the device."""
        config, rows = self.config, self._rows
        self.optimiser.zero_grad(set_to_none=True)
        images, texts = self._images(), rows.texts
        shapes = None if self._shapes is None else self._shapes.index_select(0, rows.targets)
        is_exchanged = None
        if config.mirror:
            images, texts, is_mirrored = maybe_mirrored(images, texts, count=self._count)
            shapes = None if shapes is None else torch.where(is_mirrored, mirrored_shapes(shapes), shapes)
        if self._exchange is not None:
            images, texts, is_exchanged = self._exchange(images, texts, count=self._count_of_an_order)
        images, group, texts = self._processes.share_of_batch(images, rows.group, texts)
        with self._accelerator.autocast():
            query, target, *further = self._model(
                images,
                group,
                self._ids.index_select(0, texts),
                self._mask.index_select(0, texts),
                auxiliary=self._has_auxiliary,
            )
        query, target = self._processes.gathered(query), self._processes.gathered(target)
        labels = self._labels.index_select(0, rows.targets)
        targets, their_labels = self.memory.joined(target, labels, self.network.scale, unless=is_exchanged)
        positives = self._positives(rows.queries, labels, their_labels)
        loss = batch_loss(query, targets, positive_mask=positives, config=config)
        if shapes is not None:
            loss = loss + config.read_shapes * shape_loss(self._processes.gathered(further.pop(0)), shapes)
        for own in further:
            loss = loss + config.auxiliary * own.float()
        self._accelerator.backward(loss)
        self._processes.average_gradients(self.network.parameters())
        self.optimiser.step()
        self.memory.add(target, labels, unless=is_exchanged)
        return loss.detach()

    def _stores(self, split: Split, note: Callable[[str], None]) -> tuple[Store, Store]:
        """The gallery and the sources: the maps of a frozen encoder if images are not augmented, else images."""
        config, device = self.config, self._accelerator.device
        parts = [split.gallery] if split.sources is split.gallery else [split.gallery, split.sources]
        if self.network.image_encoder.is_frozen and (
            config.shift or config.brightness or config.mirror or config.exchange_channels
        ):
            note(
                "images are augmented, so that the frozen image encoder runs in every step; with training.shift=0, "
                "training.brightness=0, training.mirror=false and training.exchange_channels=false its features are "
                "made once"
            )
        elif self.network.image_encoder.is_frozen:
            maps = [frozen_maps(self.network, pixels, device) for pixels in parts]
            if all(found is not None for found in maps):
                kept = [MapStore(found, device) for found in maps if found is not None]
                return kept[0], kept[-1]
        images = [ImageStore(pixels, device) for pixels in parts]
        return images[0], images[-1]

    def _images(self) -> Tensor:
        """The batch's source images, then its targets, augmented; or their maps."""
        sources, targets = self._rows.sources, self._rows.targets
        if self._sources is self._gallery:
            return self._taken(self._gallery, torch.cat([sources, targets]))
        return torch.cat([self._taken(self._sources, sources), self._taken(self._gallery, targets)])

    def _taken(self, store: Store, rows: Tensor) -> Tensor:
        if isinstance(store, MapStore):
            return store.batch(rows)
        return store.augmented(rows, shift=self.config.shift, brightness=self.config.brightness)

    def _positives(self, queries: Tensor, labels: Tensor, others: Tensor) -> Tensor:
        """bool (B, T), true where target j answers query i: it has a relevant label, as that of the query's own is.

        Args:
            queries: (B,) rows of the split's queries.
            labels: (B,) of their own targets.
            others: (T,) of all targets; empty places of the memory count as answers, so that they are no negatives.
        """
        positives = (labels[:, None] == others[None, :]) | (others == EMPTY)
        return positives if self._is_relevant is None else positives | self._is_relevant(queries, others)


class BatchRows:
    """The row numbers of a batch, in tensors on the device that every step fills again.

    Attributes: as those of `samplers.Batch`.
    """

    def __init__(self, sampler: Sampler, steps: int, device: torch.device) -> None:
        self._sampler, self._steps, self._device = sampler, steps, device
        sizes = [len(rows) for rows in _parts(sampler.batch(0))]
        self._buffer = torch.zeros(sum(sizes), dtype=torch.int64, device=device)
        self.sources, self.group, self.texts, self.targets, self.queries = torch.split(self._buffer, sizes)
        self._first, self._uploaded = 0, self._buffer.new_empty(0, len(self._buffer))

    def fill(self, step: int) -> None:
        """Write the rows of step number `step`. Rows are uploaded for up to `UPLOADED` steps at once."""
        if not self._first <= step < self._first + len(self._uploaded):
            steps = range(step, max(step + 1, min(step + UPLOADED, self._steps)))
            rows = torch.from_numpy(np.stack([np.concatenate(_parts(self._sampler.batch(each))) for each in steps]))
            pinned = rows.pin_memory() if self._device.type == "cuda" else rows
            self._first, self._uploaded = step, pinned.to(self._device, non_blocking=True)
        self._buffer.copy_(self._uploaded[step - self._first])


def _parts(batch: Batch) -> tuple[Rows, ...]:
    return batch.sources, batch.group, batch.texts, batch.targets, batch.queries
