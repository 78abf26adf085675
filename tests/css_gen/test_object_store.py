"""A store without renames gets the files that a folder gets, each whole or not at all."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import fsspec
import pytest

from css_gen import object_store
from css_gen.errors import DatasetError, UsageError
from css_gen.object_store import Store, render_to_url
from css_gen.storage.folder import Part
from css_gen.storage.manifest import read_manifest
from tests.css_gen.one_line import RENDER, assert_one_line


@pytest.fixture
def url() -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield "memory://bucket/css"
    memory.store.clear()


def objects(url: str) -> dict[str, bytes]:
    store = Store(url)
    return {name: store.read(name) for name in store.sizes()}


def test_the_objects_are_the_files(url, tiny_dataset, tiny_configuration, contents):
    manifest = render_to_url(url, tiny_configuration, jobs=1)
    assert objects(url) == contents(tiny_dataset)
    assert manifest == read_manifest(tiny_dataset)
    assert render_to_url(url, tiny_configuration, jobs=1) == manifest


@pytest.mark.parametrize("files", [0, 1, 5])
def test_what_is_interrupted_resumes(url, tiny_dataset, tiny_configuration, contents, monkeypatch, files):
    """An error in the middle of a file publishes nothing of it."""
    done: list[str] = []
    write = object_store.write_unit

    def write_unit(root, configuration, plan, unit, step):
        if len(done) < files:
            done.append(unit.name)
            return write(root, configuration, plan, unit, step)
        (root / unit.name).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(object_store, "write_unit", write_unit)
        with pytest.raises(OSError, match="No space"):
            render_to_url(url, tiny_configuration, jobs=1)
    there = objects(url)
    assert {name for name in there if name.endswith(".parquet")} == set(done)
    assert "manifest.json" not in there
    with monkeypatch.context() as patch:
        patch.setattr(object_store, "write_unit", lambda *given: done.append(given[3].name) or write(*given))
        render_to_url(url, tiny_configuration, jobs=1)
    assert len(done) == len(set(done)) == 10, "no file is made twice"
    assert objects(url) == contents(tiny_dataset)


def test_an_object_that_is_short_is_made_again(url, tiny_dataset, tiny_configuration, contents):
    render_to_url(url, tiny_configuration, jobs=1)
    store = Store(url)
    store.write("train/queries.parquet", store.read("train/queries.parquet")[:-1])
    render_to_url(url, tiny_configuration, jobs=1)
    assert objects(url) == contents(tiny_dataset)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)], ids=str)
def test_parts(url, tiny_dataset, tiny_configuration, contents, order):
    for number in order[:-1]:
        assert render_to_url(url, tiny_configuration, jobs=1, part=Part(number, 3)) is None
        assert "manifest.json" not in objects(url)
    assert render_to_url(url, tiny_configuration, jobs=1, part=Part(order[-1], 3))
    assert objects(url) == contents(tiny_dataset)


def test_other_things_at_the_url(url, tiny_configuration):
    render_to_url(url, tiny_configuration, jobs=1, part=Part(1, 2))
    for _ in ("begun", "finished"):
        with pytest.raises(DatasetError, match="holds another dataset: seed is 3 there and 4 here"):
            render_to_url(url, replace(tiny_configuration, seed=4), jobs=1)
        render_to_url(url, tiny_configuration, jobs=1)
    Store("memory://bucket/papers").write("thesis.tex", b"mine")
    with pytest.raises(DatasetError, match=r"css-gen did not make \(thesis\.tex\)"):
        render_to_url("memory://bucket/papers", tiny_configuration, jobs=1)
    assert objects("memory://bucket/papers") == {"thesis.tex": b"mine"}


def test_a_url_that_nothing_knows(run_css_gen):
    with pytest.raises(UsageError, match=r"--out nosuch://x: .*nosuch"):
        Store("nosuch://x")
    assert_one_line(run_css_gen(*RENDER, "--out", "nosuch://bucket/css"), 2, "--out nosuch://bucket/css")
    assert_one_line(run_css_gen(*RENDER, "--out", "memory://css", "--force"), 2, "--force")


@pytest.fixture
def s3(tmp_path, monkeypatch) -> Iterator[str]:
    """The URL of a bucket on a real S3 server, moto's, as a process of its own; s3fs finds it by the environment."""
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'css-bench[s3]'")
    pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert server.stderr is not None
    found = next(filter(None, (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)))
    for name, value in {
        "AWS_ENDPOINT_URL": found[0], "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1", "FSSPEC_S3_ENDPOINT_URL": found[0],
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem(endpoint_url=found[0]).mkdir("bucket")
        yield "s3://bucket/css"
    finally:
        server.kill()
        server.communicate()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # botocore and moto leave sockets open
def test_a_real_s3_server(s3, start_css_gen: Callable[..., "subprocess.Popen[str]"], tiny_dataset, contents):
    """Killed in between, in two parts, from processes of their own; other instances see every object."""
    command = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1, "--out", s3)
    store = Store(s3)
    killed = start_css_gen(*command)
    while killed.poll() is None and not any(name.endswith(".parquet") for name in store.sizes()):
        pass
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    for shard, said in (("1/2", "other parts are missing"), ("2/2", "150 images")):
        stdout, stderr = (done := start_css_gen(*command, "--shard", shard)).communicate()
        assert done.returncode == 0, stderr
        assert said in stdout
    assert objects(s3) == contents(tiny_dataset)
    stdout, _ = start_css_gen(*command).communicate()
    assert "150 images" in stdout


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_that_is_not_there(s3, run_css_gen):
    del s3
    result = run_css_gen(*RENDER, "--out", "s3://other-bucket/css")
    assert result.exit_code == 1, result.stderr
    assert "s3://other-bucket/css" in result.stderr
    assert "Traceback" not in result.stderr
