"""Maps of an image encoder that is not trained, made once for all runs and kept in the cache beside the images."""

import hashlib
import inspect
import platform
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import models
from benchmark.datasets import cache_place, image_store
from benchmark.datasets.image_file import is_whole, new_file
from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.splits import Pixels
from benchmark.errors import BenchmarkError
from css_gen.storage.atomic import NO_ROOM
from models.network import Network

_AT_ONCE = 64
"""Images encoded at once, whatever the runtime's batch size: that changes the last digits."""

_LIBRARIES = ("open_clip_torch", "timm", "torchvision")


class MapStore:
    """Maps (N, C, h, w) of a split's images; on a CPU they stay in the mapped file until they are used."""

    def __init__(self, maps: Tensor, device: torch.device) -> None:
        self._maps = maps if device.type == "cpu" else maps.to(device)

    def batch(self, rows: Tensor) -> Tensor:
        """Rows (B,), int64, on the device -> (B, C, h, w)."""
        return self._maps.index_select(0, rows)


def frozen_maps(network: Network, pixels: Pixels, device: torch.device) -> Tensor | None:
    """The maps (N, C, h, w) of all images, float32, mapped from a file that is written at the first call.

    The file lies beside the images', in a folder of the dataset's fingerprint, and its name has the images' list and
    size and a digest of the encoder and the images. Call it after `network.arrange`.

    Args:
        pixels: as a dataset gives them. None is returned for images that are not all of a file of the image cache,
            such as a validation part's own, where the encoder is trained or composed inside of, and where the
            folder cannot be written to.

    Raises:
        BenchmarkError: there is no room for the file.
    """
    images = _file_of(pixels)
    if images is None or network.earlier or not network.image_encoder.is_frozen:
        return None
    path = images.with_name(f"{images.stem}-features-{_digest(network, pixels, device)}.npy")
    with torch.inference_mode(False), torch.no_grad():
        shape = (len(pixels), *_encoded(network, pixels[:1], device).shape[1:])
        try:
            if not is_whole(path, shape, np.float32):
                with cache_place.locked(path.with_suffix(".lock")):
                    if not is_whole(path, shape, np.float32):
                        _write(path, shape, network, pixels, device)
        except OSError as error:
            if error.errno not in NO_ROOM:
                return None
            size = 4 * np.prod(shape) / 2**20
            raise BenchmarkError(
                f"{path.parent}: no room for the features of {len(pixels):,} images ({size:,.0f} MiB); make room"
            ) from None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(np.load(path, mmap_mode="r"))


def _write(path: Path, shape: tuple[int, ...], network: Network, pixels: Pixels, device: torch.device) -> None:
    temporary = path.with_suffix(".npy.partial")
    maps = new_file(temporary, shape, np.float32)
    for start in range(0, len(pixels), _AT_ONCE):
        maps[start : start + _AT_ONCE] = _encoded(network, pixels[start : start + _AT_ONCE], device).cpu().numpy()
    maps.flush()
    temporary.replace(path)


def _encoded(network: Network, pixels: Pixels, device: torch.device) -> Tensor:
    return network.encode_maps(ImageStore(pixels, device).everything()).float()


def _file_of(pixels: Pixels) -> Path | None:
    """The file of which the array is the whole content; None if it is a part of one, or was made in memory."""
    name = getattr(pixels, "filename", None)
    if name is None or not pixels.flags.c_contiguous:
        return None
    path = Path(name)
    return path if is_whole(path, pixels.shape) else None


def _digest(network: Network, pixels: Pixels, device: torch.device) -> str:
    """Of all that the maps depend on: the images, the encoder's layers and weights, and the code that computes them."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    machine = (platform.machine(), name, torch.__version__, torch.get_num_threads(), str(network.map_layout))
    versions = tuple(_version_of(library) for library in _LIBRARIES)
    digest = hashlib.sha256(repr((machine, versions, network.image_encoder)).encode())
    for path in _sources_of(network.image_encoder):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for name, value in sorted(network.image_encoder.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(hashlib.sha256(pixels.reshape(-1).data).digest())
    return digest.hexdigest()[:16]


def _sources_of(encoder: nn.Module) -> list[Path]:
    """The files of Python code that decide what an encoder gives; torch's are known by its version."""
    folder, torchs = Path(models.__file__).parent, Path(torch.__file__).parent
    found = {Path(__file__), Path(image_store.__file__), *(folder / "image_encoders").glob("*.py")}
    found |= {folder / name for name in ("base.py", "network.py", "open_clip_model.py")}
    for kind in {type(layer) for layer in encoder.modules()}:
        try:
            path = Path(inspect.getfile(kind))
        except (OSError, TypeError):  # a class that was made in a session, or in C
            continue
        if path.is_file() and not path.is_relative_to(torchs):
            found.add(path)
    return sorted(found)


def _version_of(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
