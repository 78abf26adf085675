"""What a person may name: a file, a class in it, an installed composer."""

import sys
from collections.abc import Callable
from importlib import invalidate_caches
from pathlib import Path

import pytest

from benchmark.errors import UsageError
from benchmark.submissions import candidates, sandboxed_run
from benchmark.submissions.process import SubmissionError
from benchmark.submissions.sandbox import SandboxTier
from tests.benchmark.submissions.conftest import QUICK, tiers
from tests.benchmark.submissions.sources import source


@pytest.mark.usefixtures("forked_submissions")
def test_a_file_and_a_class_in_it(tmp_path: Path) -> None:
    file = tmp_path / "two.py"
    second = source(name="other").partition("class ")[2].replace("Mine", "Other")
    file.write_text(f"{source()}\n\nclass {second}")
    tier, hear = SandboxTier.PROCESS, lambda found: None  # noqa: ARG005
    with pytest.raises(SubmissionError, match=r"several composers in it \(Mine, Other\): say FILE:CLASS"):
        sandboxed_run.check(candidates.find(str(file)), tier=tier, limits=QUICK, hear=hear)
    named = sandboxed_run.check(candidates.find(f"{file}:Other"), tier=tier, limits=QUICK, hear=hear)
    assert named.name == "other"
    by_name = candidates.find(str(file)).model_copy(update={"name": "mine"})
    assert sandboxed_run.check(by_name, tier=tier, limits=QUICK, hear=hear).name == "mine"


@pytest.mark.usefixtures("forked_submissions")
def test_a_base_of_the_composer_may_be_in_the_same_file(tmp_path: Path) -> None:
    base = "class Base(Composer):\n    def half(self, image):\n        return image / 2\n"
    (tmp_path / "mine.py").write_text(source(before=base).replace("class Mine(Composer)", "class Mine(Base)"))
    card = sandboxed_run.check(
        candidates.find(str(tmp_path / "mine.py")), tier=SandboxTier.PROCESS, limits=QUICK, hear=lambda found: None  # noqa: ARG005
    )  # fmt: skip
    assert card.name == "mine"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Install a package with one composer as `pip install -e` would, into a folder that Python searches."""

    def install(text: str) -> Path:
        project, site = tmp_path / "project", tmp_path / "site"
        (project / "their_package").mkdir(parents=True)
        (project / "their_package" / "__init__.py").write_text("")
        (project / "their_package" / "composer.py").write_text(text)
        info = site / "their_package-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[tirg_bench.composers]\ntheirs = their_package.composer:Mine\n")
        (info / "direct_url.json").write_text(f'{{"url": "file://{project}", "dir_info": {{"editable": true}}}}')
        monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
        invalidate_caches()
        return project

    return install


@pytest.mark.parametrize("tier", tiers())
def test_an_installed_composer(tier: SandboxTier, installed: Callable[[str], Path]) -> None:
    installed(source(name="theirs"))
    problems: list[str] = []
    card = sandboxed_run.check(
        candidates.find("theirs"), tier=tier, limits=QUICK, hear=lambda found: problems.append(found.problem)
    )
    assert not any(problems)
    assert card.name == "theirs"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("absent.py", "there is no such file; `tirg-bench new absent.py` writes a template"),
        ("folder/absent", "there is no such file"),
        ("nobody", "expected a Python file such as my_composer.py, or the name of an installed composer"),
        ("binary.py", "cannot be read as text"),
        ("huge.py", "is larger than 1,000,000 bytes"),
        ("./text.txt", "its name ends in .py"),
    ],
)
def test_what_is_no_candidate(named: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary.py").write_bytes(b"\xff\xfe\x00")
    Path("huge.py").write_text("#" * 1_000_001)
    Path("text.txt").write_text("")
    with pytest.raises(UsageError, match="^" + named.replace(".", r"\.")) as found:
        candidates.find(named)
    assert expected in str(found.value)


def test_an_installed_composer_whose_file_is_gone(installed: Callable[[str], Path]) -> None:
    (installed(source()) / "their_package" / "composer.py").unlink()
    with pytest.raises(UsageError, match=r"theirs: its module their_package\.composer cannot be found"):
        candidates.find("theirs")


def test_the_nearest_installed_name_is_offered(installed: Callable[[str], Path]) -> None:
    installed(source(name="theirs"))
    with pytest.raises(UsageError, match="did you mean theirs"):
        candidates.find("thiers")
