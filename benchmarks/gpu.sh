#!/usr/bin/env bash
# One job of benchmarks/GPU_QUEUE.md, on a machine with a CUDA GPU: renders the dataset there, works, and leaves what is to
# be brought back in $OUT as one small archive. Every job begins with an empty machine, so each renders what it needs.
#
#     OUT=/some/folder bash benchmarks/gpu.sh JOB [ARGUMENT ...]
#
# DEVICE=cpu IMAGES=300 STEPS=2 tries a job at tiny size where there is no GPU: the same commands, another device.
set -euo pipefail
cd "$(dirname "$0")/.."

job=${1:?a job of benchmarks/GPU_QUEUE.md}
shift
OUT=${OUT:?a folder for the results}
DEVICE=${DEVICE:-cuda}
IMAGES=${IMAGES:-38024}
PYTHON=${PYTHON:-python3}
work=${WORK:-/tmp/css-bench}
mkdir -p "$OUT" "$work"
export PYTHONUNBUFFERED=1

# Packages that the machine lacks travel as wheels in .whl (see GPU_QUEUE.md); nothing is installed into its Python.
if compgen -G ".whl/*.whl" > /dev/null; then
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$work/site" --upgrade .whl/*.whl
    export PYTHONPATH="$work/site:$PWD"
else
    export PYTHONPATH="$PWD"
fi

sets=()
[ -z "${STEPS:-}" ] || sets=(--set "training.steps=$STEPS")
[ "$DEVICE" != cpu ] || sets+=(--set training.sources=2 --set training.modifications=2 --set data.image_size=32)

css_gen() { "$PYTHON" -m css_gen.cli "$@"; }
tirg_bench() { "$PYTHON" -m benchmark.cli "$@"; }

render() { # SIZE
    css_gen render --n "$IMAGES" --size "$1" --out "$work/css-$1" 2> >(tail -n 1 >&2)
}

train() { # SIZE, then options of `tirg-bench run`
    local size=$1
    shift
    tirg_bench run --device "$DEVICE" --data "css=$work/css-$size" --out "$work/leaderboards" --runs "$work/runs" \
        "$@" "${sets[@]}" 2> >(grep -E "R@1|FAILED|error" >&2)
}

bring_back() { # NAME: the records, without models
    tar -C "$work" -czf "$OUT/$1.tar.gz" leaderboards
    ls -l "$OUT/$1.tar.gz"
}

case $job in
    smoke) # does it all run here, and how fast: a few hundred steps of the slowest and of the main composer
        render 128
        train 128 --preset standard --composer tirg --composer relationship --dataset css --set training.steps=300
        train 128 --preset standard --composer tirg --dataset css --set training.steps=300 --set training.compile=true
        bring_back smoke
        ;;
    profile) # one step of `standard`, and of `paper`
        render 128
        for preset in standard paper; do
            "$PYTHON" benchmarks/profile_step.py --device "$DEVICE" --data "$work/css-128" --preset "$preset" \
                --set data.image_size=128 "${sets[@]}" ${STEPS:+--steps "$STEPS"}
        done
        cp benchmarks/results/profile-*.json "$OUT"
        ;;
    speed) # beside google/tirg's step, in one run
        render 128
        "$PYTHON" benchmarks/train.py --data "$work/css-128" --seconds "${SECONDS_EACH:-60}"
        cp benchmarks/results/train*.json "$OUT"
        ;;
    tune) # TIRG on the held-out part of the training split, one --set (or several, joined by commas) an ARGUMENT
        render 128
        for change in "$@"; do
            settings=()
            IFS=, read -ra assignments <<< "$change"
            for assignment in "${assignments[@]}"; do settings+=(--set "$assignment"); done
            train 128 --preset standard --composer tirg --dataset css --set evaluation.split=validation \
                --set evaluation.held_out=0.1 "${settings[@]}"
        done
        tar -C "$work" -czf "$OUT/tune.tar.gz" runs/records
        ;;
    board) # PROTOCOL SEED: every composer
        render 128
        train 128 --preset standard --all --dataset "$1" --seeds "$2,"
        bring_back "board-$1-s$2"
        ;;
    paper) # google/tirg's recipe, TIRG alone: STEPS of its 160,000 that fit
        render 224
        train 224 --preset paper --composer tirg --dataset css
        bring_back paper
        ;;
    *)
        echo "benchmarks/gpu.sh: there is no job $job; see benchmarks/GPU_QUEUE.md" >&2
        exit 2
        ;;
esac
