#!/usr/bin/env bash
# Time the work of `make demo` in two checkouts, one after the other: bash speed/quick_board.sh BEFORE [COMPOSER ...]
#
# BEFORE is another checkout (git worktree add ../before COMMIT). Each turn renders 20,000 images, draws the sheet, and runs
# the preset quick on css and css-2d3d: in BEFORE one run at a time, as its `make demo` did, in this checkout two at a time.
# Without composers, those of Vo et al. (2019) are run. Compiled kernels are removed first, as in a fresh clone.
# Environment: N (20000 images), TURNS (1), PYTHON (this checkout's .venv/bin/python), OUT (where the records stay).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
before=$(cd "$1" && pwd)
shift
python=${PYTHON:-$here/.venv/bin/python}
out=$(realpath -m "${OUT:-$(mktemp -d)}")
(($#)) || set -- attribute_as_operator concat image_only film mrn parameter_hashing relationship show_and_tell text_only tirg
which=()
for composer in "$@"; do which+=(--composer "$composer"); done

timed() { # NAME CHECKOUT OPTION...
    local name=$1 tree=$2 turn=$3 folder start rendered
    shift 3
    folder=$out/$name-$turn
    mkdir -p "$folder"
    cd "$tree"
    find css_gen benchmark models -name __pycache__ -prune -exec rm -rf {} +
    start=$(date +%s.%N)
    "$python" -m css_gen.cli render --n "${N:-20000}" --out "$folder/css" >"$folder/log" 2>&1
    "$python" -m css_gen.cli show "$folder/css" --out "$folder/sheet.png" >>"$folder/log" 2>&1
    rendered=$(date +%s.%N)
    "$python" -m benchmark.cli run "${which[@]}" --dataset css --dataset css-2d3d --data "css=$folder/css" \
        --preset quick --out "$folder/boards" --runs "$folder/runs" "$@" >>"$folder/log" 2>&1
    awk -v start="$start" -v rendered="$rendered" -v end="$(date +%s.%N)" -v name="$name" 'BEGIN {
        printf "%s: %.1f s, rendering %.1f, runs %.1f\n", name, end - start, rendered - start, end - rendered}'
    grep -o '[a-z_]* on css[^:]*: R@1 [0-9.]*' "$folder/log" | sort | sed 's/^/    /'
    rm -rf "$folder/css" "$folder/runs"
}

for ((turn = 1; turn <= ${TURNS:-1}; turn++)); do
    timed before "$before" "$turn"
    timed now "$here" "$turn" --jobs 2
done
