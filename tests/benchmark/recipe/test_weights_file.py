"""A recipe that starts from a file of weights is that recipe by the file's content, wherever the file is."""

import hashlib
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from benchmark.errors import BenchmarkError
from benchmark.recipe.changes import override
from benchmark.recipe.hashing import hash_of
from benchmark.recipe.label import label
from benchmark.recipe.presets import preset
from benchmark.recipe.schema import Recipe
from benchmark.recipe.weights_file import path_of, pinned, require_same_files, shortened
from benchmark.runs.recipes import recipe_on
from benchmark.training.model import new_network
from benchmark.training.parts import require_parts
from models.image_encoders import image_encoder

PATHS = st.text(string.ascii_letters + "@:/ .#-", min_size=1, max_size=30)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
SENTENCES = "model.text_encoder=sentence_file"


def asked(path: Path, key: str = "model.pretrained") -> Recipe:
    return override(preset("quick"), [SENTENCES, f"{key}={path}"])


@pytest.mark.parametrize("key", ["model.pretrained", "model.text_weights"])
def test_the_content_counts_and_the_path_does_not(key: str, tmp_path: Path) -> None:
    one, moved = tmp_path / "weights.pth", tmp_path / "moved.pth"
    one.write_bytes(b"one")
    moved.write_bytes(b"one")
    first = pinned(asked(one, key))
    assert pinned(asked(moved, key)).hash == first.hash
    one.write_bytes(b"two")
    second = pinned(asked(one, key))
    assert second.hash != first.hash
    assert second.value(key) == f"{one}@sha256:{hashlib.sha256(b'two').hexdigest()}"
    one.unlink()
    assert Recipe.from_content(second.content).hash == second.hash == hash_of(second.content)
    assert pinned(second) == second


@given(path=PATHS, other=PATHS, digest=DIGESTS, changed=DIGESTS)
def test_the_hash_is_of_the_digest(path: str, other: str, digest: str, changed: str) -> None:
    def hashed(path: str, digest: str) -> str:
        return hash_of({"recipe_version": 2, "model.pretrained": f"{path}@sha256:{digest}"})

    assert hashed(path, digest) == hashed(other, digest)
    assert (hashed(path, digest) == hashed(path, changed)) is (digest == changed)
    assert path_of(f"{path}@sha256:{digest}") == path


@pytest.mark.parametrize("key", ["model.pretrained", "model.text_weights"])
def test_the_tag_before_a_file_counts(key: str, tmp_path: Path) -> None:
    path, moved = tmp_path / "weights.pth", tmp_path / "moved=1.pth"
    path.write_bytes(b"one")
    moved.write_bytes(b"one")
    plain, one, other, same = (
        pinned(override(preset("quick"), [SENTENCES, f"{key}={value}"]))
        for value in (path, f"openai={path}", f"laion2b_e16={path}", f"openai={moved}")
    )
    assert len({plain.hash, one.hash, other.hash}) == 3
    assert same.hash == one.hash
    digest = hashlib.sha256(b"one").hexdigest()
    assert one.value(key) == f"openai={path}@sha256:{digest}"
    assert path_of(str(one.value(key))) == f"openai={path}"
    assert shortened(str(one.value(key))) == f"openai=weights.pth@sha256:{digest[:8]}"
    path.write_bytes(b"two")
    with pytest.raises(BenchmarkError, match=rf"{key}: .*weights\.pth is not the file of this recipe"):
        require_same_files(one)


def test_a_run_takes_the_digest_and_finds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(image_encoder("small_resnet").state_dict(), path)
    recipe = recipe_on("css", "quick", pretrained=str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert recipe.model.pretrained == f"{path}@sha256:{digest}"
    assert label(recipe) == f"quick, model.pretrained=weights.safetensors@sha256:{digest[:8]}"
    require_parts(recipe)
    network = new_network("image_only", recipe.model, ["make it red"], spatial=True, seed=0)
    loaded, expected = network.image_encoder.state_dict(), image_encoder("small_resnet", pretrained=path).state_dict()
    assert all((loaded[name] == value).all() for name, value in expected.items())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BenchmarkError, match=r"weights\.safetensors is not the file of this recipe"):
        require_parts(recipe)


def test_what_is_no_file_or_has_no_effect_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("torchvision").touch()
    Path("sentences.npz").touch()
    for assignment in ("model.pretrained=torchvision", "model.pretrained=gone.pth", "model.text_weights=sentences.npz"):
        recipe = override(preset("quick"), [assignment])
        assert pinned(recipe) == recipe
        require_same_files(recipe)
