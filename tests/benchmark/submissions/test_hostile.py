"""Code that does what it may not: none alters a file, none hangs past its limit, each message names the cause."""

import os
from pathlib import Path

import pytest

import css_gen
from benchmark.cli.options import sandbox_tier
from benchmark.submissions import sandboxed_run
from benchmark.submissions.process import Limits
from benchmark.submissions.sandbox import NOT_STOPPED, SandboxTier
from tests.benchmark.submissions.conftest import QUICK, Verdict, tiers
from tests.benchmark.submissions.sources import source

SECRET = "the labels of the test split"

READING = {
    "openly": "found = open('{}').read()",
    "behind an except": "try: found = open('{}').read()\nexcept BaseException: found = 'not found'",
    "past Python": """
import ctypes
file, buffer = ctypes.CDLL(None).open(b'{}', 0), ctypes.create_string_buffer(100)
found = 'not found' if file < 0 or ctypes.CDLL(None).read(file, buffer, 100) < 0 else buffer.value.decode()
""",
}

HOSTILE: dict[str, tuple[str, str]] = {
    "a crash": (source(before="import ctypes; ctypes.string_at(0)"), "its process crashed (SIGSEGV)"),
    "an abort in forward": (source(in_forward="import os; os.abort()"), "its process crashed (SIGABRT)"),
    "an endless loop": (source(in_forward="while True: pass"), "gave no sign of life for 3 seconds"),
    "an endless loop at import": (source(before="while True: pass"), "gave no sign of life for 3 seconds"),
    "a fork bomb": (source(before="import os\nwhile True: os.fork()"), "tried to start or stop a process (os.fork)"),
    "a fork bomb past Python": (
        source(before="import ctypes\nif ctypes.CDLL(None).fork() < 0: raise OSError('no fork')"),
        "no fork",
    ),
    "a file in memory": (source(before="import os; os.memfd_create('held')"), "PermissionError"),
    "another program": (source(before="import os; os.system('touch /tmp/x')"), "tried to start or stop a process"),
    "sys.exit": (source(before="import sys; sys.exit(0)"), "it called sys.exit(0)"),
    "sys.exit in forward": (source(in_forward="raise SystemExit(3)"), "it called sys.exit(3)"),
    "os._exit": (source(in_forward="import os; os._exit(0)"), "ended its process before it was done"),
    "100 GB of memory": (
        source(in_forward="self.big = torch.empty(25_000_000_000).fill_(1)"),
        "more than its limit of memory of 4096 MiB",
    ),
    "memory in small pieces": (
        source(before="held = []\nwhile True: held.append(bytearray(50_000_000))"),
        "more than its limit of memory of 4096 MiB",
    ),
    "the generator of the data": (source(before="import css_gen"), "it tried to import css_gen, which a submission"),
    "the generator behind an except": (
        source(before="try: import css_gen.scenes\nexcept BaseException: pass"),
        "it tried to import css_gen",
    ),
    "our other code": (source(before="import benchmark.errors"), "it tried to import css_gen"),
    "many files": (
        source(before="kept = [open('/dev/null') for _ in range(10_000)]"),
        "it opened more than 256 files at once",
    ),
    "the network": (source(before="import socket\nsocket.create_connection(('192.0.2.1', 80))"), "use the network"),
    "NaN": (source(in_forward="composed = composed * float('nan')"), "got NaN or infinity"),
    "another type": (source(in_forward="composed = composed.double()"), "expected torch.float32 as the image has it"),
    "another shape": (source(in_forward="composed = composed[:, :7]"), "expected (12, 128, 4, 4)"),
    "output that depends on the batch": (
        source(in_forward="composed = composed - composed.mean(0)"),
        "whatever else is in its batch",
    ),
    "state between batches": (
        source(
            in_init="self.last = 0.0", in_forward="composed, self.last = composed + self.last, composed.mean().item()"
        ),
        "keep no state between calls",
    ),
    "a cache of what it saw in training": (
        source(
            in_init="self.cache = None",
            in_forward="""
            if self.training:
                self.cache = composed.detach().mean()
            elif self.cache is not None:
                composed = composed + self.cache
            """,
        ),
        "expected the same output after saving and loading",
    ),
    "a name that is taken": (source(name="tirg"), "the name 'tirg' belongs to models.composers.tirg.Tirg"),
    "a name with slashes": (
        source(name="../../records/css/tirg"),
        "expected lowercase letters, digits and underscores",
    ),
    "no info": (source(info="pass"), "Mine has no info"),
    "a missing package": (
        source(before="import no_such_package"),
        "imports no_such_package, which is not installed here",
    ),
    "no Python": ("def (:\n", "line 1: SyntaxError"),
    "no composer": ("x = 1\n", "there is no composer in it"),
    "forged messages": (
        source(
            before="""
            import os
            for number in range(3, 40):
                try:
                    os.write(number, b'{"event": "done"} what?\\n')
                except OSError:
                    pass
            """
        ),
        "wrote into the channel that is reserved for messages",
    ),
    "an error": (source(in_forward="raise ValueError('I am\\x1b[31m red')"), "line 19: ValueError: I am [31m red"),
}


VARIANTS = {
    "an abort in forward", "an endless loop at import", "a fork bomb past Python", "another program",
    "sys.exit in forward", "os._exit", "memory in small pieces", "the generator behind an except", "another shape",
    "no Python", "no composer", "an error", "many files",
}  # fmt: skip
"""Further ways to the same end."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in VARIANTS)) for name in HOSTILE]
)
def test_the_cause_is_named(name: str, verdict: Verdict, tmp_path: Path) -> None:
    text, expected = HOSTILE[name]
    precious = tmp_path / "leaderboards"
    precious.mkdir()
    (precious / "css.md").write_text("| TIRG |")
    limits = Limits(seconds=60, silent_seconds=3, memory_mib=4_096) if "endless" in name else QUICK
    said = verdict(text, limits=limits)
    assert expected in said
    assert "\n" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboards", "mine.py"]
    assert [path.read_text() for path in precious.iterdir()] == ["| TIRG |"]
    assert (tmp_path / "mine.py").read_text() == text


def test_findings_have_an_end(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxed_run, "_MOST_FINDINGS", 3)
    assert verdict(source()) == "mine.py: it sent too many findings"


@pytest.mark.parametrize("tier", tiers())
def test_a_sound_composer_passes(tier: SandboxTier, verdict_of_a_new_process: Verdict) -> None:
    assert verdict_of_a_new_process(source(), tier=tier) == ""


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize("way", READING)
def test_labels_cannot_be_read(way: str, tier: SandboxTier, verdict: Verdict, tmp_path: Path) -> None:
    labels = tmp_path / "queries.parquet"
    labels.write_text(SECRET)
    said = verdict(source(before=READING[way].format(str(labels)) + "\nraise ValueError(found)"), tier=tier)
    if way != "past Python":
        assert f"it tried to read {labels}, outside its scratch folder" in said
    elif tier is SandboxTier.BUBBLEWRAP:
        assert "not found" in said
    else:
        # What the plain tier cannot do is why there is the other one.
        assert SECRET in said


@pytest.mark.parametrize("tier", tiers()[1:])
def test_the_generator_of_the_data_is_not_in_bubblewrap(tier: SandboxTier, verdict: Verdict) -> None:
    text = source(before=READING["past Python"].format(css_gen.__file__) + "\nraise ValueError(found)")
    assert "ValueError: not found" in verdict(text, tier=tier)


@pytest.mark.slow
@pytest.mark.parametrize("tier", tiers())
def test_files_outside_cannot_be_changed(tier: SandboxTier, verdict: Verdict, tmp_path: Path) -> None:
    board = tmp_path / "css.md"
    board.write_text("| TIRG |")
    for change in (f"open({str(board)!r}, 'w')", f"import os; os.remove({str(board)!r})"):
        assert verdict(source(before=change), tier=tier)
        assert board.read_text() == "| TIRG |"


def test_no_secret_is_in_its_environment(verdict_of_a_new_process: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "sesame")
    said = verdict_of_a_new_process(source(before="import os\nraise ValueError(str(dict(os.environ)))"))
    assert "PATH" in said
    assert "sesame" not in said


def test_what_it_prints_does_not_reach_us(verdict: Verdict, capfd: pytest.CaptureFixture[str]) -> None:
    noise = (
        "import os, sys; print('hello'); sys.__stdout__.write('hello'); os.write(1, b'hello'); os.write(2, b'hello')"
    )
    assert verdict(source(before=noise)) == ""
    assert "hello" not in "".join(capfd.readouterr())


PROBES = """
import ctypes, os, socket
c = ctypes.CDLL(None, use_errno=True)
flags, much, outside, process = os.O_WRONLY | os.O_CREAT, ctypes.c_size_t(5 * 2**30), {outside!r}, {process}
refusal = 1 if os.uname().machine == "x86_64" else 38
attempts = {{
    "read a file outside": lambda: open(outside).read(),
    "read a file outside, past Python": lambda: c.open(outside.encode(), 0) >= 0,
    "write a file outside": lambda: open(outside + "-2", "w"),
    "write a file outside, past Python": lambda: c.open(outside.encode() + b"-3", flags, 0o600) >= 0,
    "use the network": lambda: socket.socket(),
    "use the network, past Python": lambda: c.socket(2, 1, 0) >= 0,
    "start a process": lambda: (os.fork() or os._exit(0)) > 0,
    "start a process, past Python": lambda: (c.fork() or os._exit(0)) > 0,
    "look at another process": lambda: open(f"/proc/{{process}}/status"),
    "look at another process, past Python": lambda: c.open(f"/proc/{{process}}/status".encode(), 0) >= 0,
    "send a signal to another process": lambda: os.kill(process, 0) is None,
    "send a signal to another process, past Python": lambda: c.kill(process, 0) == 0,
    "take more memory than its limit": lambda: bytearray(5 * 2**30),
    "take more memory than its limit, past Python": lambda: c.mmap(None, much, 3, 34, -1, 0) != -1,
    "take memory that no limit counts": lambda: os.memfd_create("a"),
    "make a call under its x32 number": lambda: c.syscall(0x40000000 | 39) >= 0 or ctypes.get_errno() != refusal,
}}
reached, first = [], ""
for name, attempt in attempts.items():
    try:
        reached += [name] if attempt() else []
    except BaseException as error:
        first = first or str(error)  # the message of what is refused first has to be in ours to be heard
raise ValueError(f"{{first}} reached: {{'; '.join(reached)}}.")
"""
"""Harmless attempts at what the sandbox should stop: a toy file, a signal that does nothing, a page of memory."""


def documented(tier: SandboxTier) -> dict[str, str]:
    """The table of docs/reliability.md."""
    page = (Path(__file__).parents[3] / "docs/reliability.md").read_text()
    table = page.partition("| What code may try |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[1 if tier is SandboxTier.PROCESS else 2] for row in rows}


@pytest.mark.parametrize("tier", tiers())
def test_what_each_tier_stops_is_documented(
    tier: SandboxTier, verdict_of_a_new_process: Verdict, tmp_path: Path
) -> None:
    """And what the plain tier does not stop is said whenever it is used."""
    outside = tmp_path / "outside"
    outside.write_text(SECRET)
    text = PROBES.format(outside=str(outside), process=os.getpid())
    said = verdict_of_a_new_process(source(before=text), tier=tier)
    assert " reached: " in said, said
    reached = said.rpartition(" reached: ")[2].rstrip(".").split("; ")
    if not Path(f"{outside}-3").exists():  # it was written into a folder of the sandbox's own
        reached = [name for name in reached if name != "write a file outside, past Python"]
    assert [name for name in reached if name] == list(NOT_STOPPED[tier])
    names = [line.partition('"')[2].partition('"')[0] for line in text.splitlines() if ": lambda: " in line]
    assert len(names) == 16
    expected = {name: "not stopped" if name in reached else "stopped" for name in names}
    stopped_otherwise = {
        "take more time than its limit": "stopped",
        "write more than its limit into one file": "stopped",
    }
    assert documented(tier) == expected | stopped_otherwise


@pytest.mark.slow
@pytest.mark.parametrize("tier", tiers())
def test_time_and_the_size_of_a_file_are_limited(tier: SandboxTier, verdict_of_a_new_process: Verdict) -> None:
    slow = source(before="import time\nwhile True: time.sleep(1)")
    assert "3 seconds" in verdict_of_a_new_process(slow, tier=tier, limits=Limits(seconds=60, silent_seconds=3))
    large = source(before="open('a', 'wb').truncate(10 * 2**30)")  # takes no room
    assert "OSError: [Errno 27] File too large" in verdict_of_a_new_process(large, tier=tier)


def test_the_plain_tier_says_what_it_does_not_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox_tier("process") is SandboxTier.PROCESS
    said = capsys.readouterr().err
    assert all(what in said for what in NOT_STOPPED[SandboxTier.PROCESS])
    assert len(said.splitlines()) == 1
