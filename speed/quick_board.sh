#!/usr/bin/env bash
# Time `tirg-bench run` of the preset quick in two checkouts, in turns: bash speed/quick_board.sh BEFORE [COMPOSER ...]
#
# BEFORE is another checkout (git worktree add ../before COMMIT); without composers the whole board of css and css-2d3d
# is run. Each turn prints the seconds of BEFORE, of this checkout, and of this checkout with --jobs 2.
# Environment: DATA (data/css), TURNS (1), THREADS (2), PYTHON (this checkout's .venv/bin/python).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
before=$(cd "$1" && pwd)
shift
data=$(realpath "${DATA:-$here/data/css}")
python=${PYTHON:-$here/.venv/bin/python}
export OMP_NUM_THREADS=${THREADS:-2}
which=(--all)
if (($#)); then
    which=()
    for composer in "$@"; do which+=(--composer "$composer"); done
fi

timed() { # NAME CHECKOUT OPTION...
    local name=$1 tree=$2 scratch start
    shift 2
    scratch=$(mktemp -d)
    start=$(date +%s.%N)
    (cd "$tree" && "$python" -m benchmark.cli run "${which[@]}" --dataset css --dataset css-2d3d --data "css=$data" \
        --preset quick --out "$scratch/boards" --runs "$scratch/runs" "$@" >"$scratch/log" 2>&1)
    awk -v start="$start" -v end="$(date +%s.%N)" -v name="$name" 'BEGIN {printf "%s: %.1f s\n", name, end - start}'
    grep -o '[a-z_]* on css[^:]*: R@1 [0-9.]*' "$scratch/log" | sort | sed 's/^/    /'
    rm -rf "$scratch"
}

for ((turn = 1; turn <= ${TURNS:-1}; turn++)); do
    timed before "$before"
    timed now "$here"
    timed "now, --jobs 2" "$here" --jobs 2
done
