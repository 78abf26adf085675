"""How every error of `css-gen` ends."""

RENDER = ("render", "--n", 24, "--size", 16, "--jobs", 1)


def assert_one_line(result, code: int, *parts: str) -> None:
    stderr = result.stderr
    lines = [line for line in stderr.splitlines() if not line.startswith("compiling the renderer")]
    assert result.exit_code == code, stderr
    assert len(lines) == 1, stderr
    assert lines[0].startswith("css-gen: error: ")
    for part in parts:
        assert str(part) in lines[0], lines[0]
