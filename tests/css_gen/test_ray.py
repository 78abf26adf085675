"""Ray renders the same bytes, also when a machine of its cluster dies; and a task that kills its worker ends in a line.

The cluster is of two raylets on this machine, as Ray's own tests have it.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from css_gen.errors import DatasetError, UsageError
from css_gen.progress import Silent
from css_gen.ray_executor import RayExecutor
from css_gen.render import render
from css_gen.storage.plan import units
from tests.ray_cluster import SLOTS

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'css-bench[ray]'")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray leaves files and sockets of its own open
]


@pytest.fixture(scope="module", autouse=True)
def find_our_tests() -> Iterator[None]:
    """Ray's workers import this module by its name."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *([before] if before else [])])
    yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


class AtTheFirst(Silent):
    """Calls a function once, when the first task is done."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.then = then
        self.calls = 0

    def track(self, description: str, total: int, unit: str) -> Any:  # noqa: ARG002
        def on_progress(done: int) -> None:  # noqa: ARG001
            self.calls += 1
            if self.calls == 1:
                self.then()

        return nullcontext(on_progress)


def test_a_machine_is_lost_and_the_bytes_are_the_same(cluster, tiny_dataset, tiny_configuration, tmp_path, contents):
    second = cluster.add_node(num_cpus=SLOTS)
    cluster.wait_for_nodes()
    reporter = AtTheFirst(lambda: cluster.remove_node(second, allow_graceful=False))
    root = tmp_path / "css"
    render(root, tiny_configuration, jobs=1, reporter=reporter, executor=RayExecutor(cluster.address))
    assert reporter.calls == 10
    assert contents(root) == contents(tiny_dataset)


def where(_: int, step: Callable[[int], None]) -> str:
    step(3)
    return str(ray.get_runtime_context().get_node_id())


def test_both_machines_work_and_progress_counts_steps(cluster):
    cluster.add_node(num_cpus=SLOTS)
    cluster.wait_for_nodes()
    done: list[int] = []
    found = list(RayExecutor(cluster.address)(where, range(40), on_progress=done.append))
    assert sorted(task for task, _ in found) == list(range(40))
    assert len({node for _, node in found}) == 2
    assert done == [3 * count for count in range(1, 41)]


def test_the_driver_has_few_tasks_submitted_however_many_there_are(cluster):
    taken = 0

    class Tasks:
        def __iter__(self) -> Iterator[int]:
            nonlocal taken
            for number in range(10**9):
                taken = number + 1
                yield number

    results = RayExecutor(cluster.address)(where, Tasks(), on_progress=lambda _: None)  # type: ignore[arg-type]
    for _ in range(5):
        next(results)
    results.close()
    assert taken <= 5 + 2 * SLOTS


def kill_worker(how: str, task: int, step: Callable[[int], None]) -> int:
    step(1)
    if task == 2:
        {"exit": partial(sys.exit, 0), "kill": partial(os.kill, os.getpid(), signal.SIGKILL)}[how]()
    return task


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_task_that_ends_its_worker_is_named(cluster, how):
    """Ray takes even `sys.exit(0)` for a crash, and tries four times."""
    work = partial(kill_worker, how)
    with pytest.raises(DatasetError, match=r"Ray lost the worker of 2 4 times.*run the same command again"):
        list(RayExecutor(cluster.address)(work, range(4), on_progress=lambda _: None))
    executor = RayExecutor(cluster.address, lost=lambda task, why: (task, why))
    found = dict(executor(work, range(4), on_progress=lambda _: None))
    assert {task: found[task] for task in (0, 1, 3)} == {0: 0, 1: 1, 3: 3}
    task, why = found[2]
    assert task == 2
    assert "lost" in why


def fail(task: int, step: Callable[[int], None]) -> None:  # noqa: ARG001
    raise OSError(28, "No space left on device", f"shard {task}")


def test_the_error_of_a_task_is_raised_as_it_is(cluster):
    with pytest.raises(OSError, match="No space left") as caught:
        list(RayExecutor(cluster.address)(fail, range(2), on_progress=lambda _: None))
    assert (type(caught.value), caught.value.errno) == (OSError, 28)
    assert str(caught.value.filename).startswith("shard")


@pytest.mark.parametrize("needs", [{"gpus": 0.25}, {"cpus": 64}])
def test_what_no_machine_has_is_refused(cluster, needs):
    with pytest.raises(UsageError, match="no machine of the cluster has them"):
        list(RayExecutor(cluster.address, **needs)(where, [1], on_progress=lambda _: None))


def test_a_folder_that_a_machine_does_not_see(cluster, tiny_configuration, tmp_path):
    from css_gen.render import make_files

    with pytest.raises(DatasetError, match=r"is not there on .*: use a folder that all machines share"):
        make_files(
            tmp_path / "elsewhere", tiny_configuration, list(units(tiny_configuration)),
            RayExecutor(cluster.address), Silent(),
        )  # fmt: skip


def test_the_command_starts_ray_itself_and_resumes(start_css_gen, tiny_dataset, tmp_path, contents):
    out = tmp_path / "css"
    command = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1, "--out", out, "--executor", "ray")
    process = start_css_gen(*command)
    with _files_appear(process, out):
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "css-gen: error: interrupted; run the same command again to resume"
    stdout, stderr = (again := start_css_gen(*command)).communicate()
    assert again.returncode == 0, stderr
    assert "150 images" in stdout
    assert contents(out) == contents(tiny_dataset)


@contextmanager
def _files_appear(process: Any, out: Path) -> Iterator[None]:
    import select

    while process.poll() is None and not list(out.glob("*/*.parquet")):
        select.select([], [], [], 0.002)
    yield


def test_an_address_where_no_cluster_is(start_css_gen, tmp_path):
    process = start_css_gen(
        "render", "--n", 24, "--size", 16, "--out", tmp_path, "--executor", "ray", "--address", "auto"
    )
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert "ray start --head" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
