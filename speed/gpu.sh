#!/usr/bin/env bash
# One job of speed/GPU_QUEUE.md, on a machine with a CUDA GPU. Every job begins on an empty machine, so each renders
# the dataset that it needs, works, and leaves one archive in $OUT, laid out as this repository is: `tar -xzf ARCHIVE` in
# the repository's root lands it.
#
#     bash speed/gpu.sh carry                                   before, where there is a network
#     OUT=/some/folder bash speed/gpu.sh JOB [ARGUMENT ...]
#
# LIMIT is how many seconds the job may take (0: as long as it likes). What is not done by then is stopped as by Ctrl-C;
# what is done comes back, and the same command goes on from it once it has landed. A step that fails does not stop the
# next ones; the exit code then is 1.
#
# DEVICE=cpu IMAGES=800 STEPS=2 tries a job at tiny size where there is no GPU: the same commands, another device.
set -euo pipefail
cd "$(dirname "$0")/.."

job=${1:?a job of speed/GPU_QUEUE.md}
shift
DEVICE=${DEVICE:-cuda}
IMAGES=${IMAGES:-38024}
LIMIT=${LIMIT:-560}
PYTHON=${PYTHON:-python3}
work=${WORK:-/tmp/css-bench}
landing=$work/landing
packages=accelerate,click,filelock,isal,jinja2,numba,numpy,pandas,PIL,psutil,pyarrow,pydantic,rich,safetensors,scipy
packages+=,tensorboard,torch,torchvision
failures=0
export PYTHONUNBUFFERED=1

validation=(--set evaluation.split=validation --set evaluation.held_out=0.1) # never on a leaderboard
sets=()
[ -z "${STEPS:-}" ] || sets=(--set "training.steps=$STEPS")
[ "$DEVICE" != cpu ] || sets+=(--set training.sources=2 --set training.modifications=2 --set data.image_size=32)

step() { # COMMAND ...: within what is left of LIMIT
    local left=$((LIMIT - SECONDS)) status=0
    echo "gpu.sh: at $SECONDS s: $*" >&2
    if ((LIMIT == 0)); then
        "$@" || status=$?
    elif ((left > 0)); then
        timeout --signal=INT --kill-after=20 "$left" "$@" || status=$?
    else
        status=124
    fi
    ((status == 0)) || echo "gpu.sh: at $SECONDS s: exit code $status of: $*" >&2
    ((status == 0)) || failures=$((failures + 1))
}

carried() { # what this machine's Python lacks travels as wheels in .whl; nothing is installed into it
    export PYTHONPATH="$PWD"
    if compgen -G ".whl/*.whl" > /dev/null; then
        "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$work/site" --upgrade .whl/*.whl
        export PYTHONPATH="$work/site:$PWD"
    fi
    [ ! -f .whl/commit ] || CSS_BENCH_COMMIT=$(< .whl/commit)
    export CSS_BENCH_COMMIT=${CSS_BENCH_COMMIT:-}
    "$PYTHON" -c "import $packages, benchmark.runs.grid, benchmark.leaderboard.files, css_gen.render" || {
        echo "gpu.sh: $PYTHON lacks a package: \`bash speed/gpu.sh carry\` where there is a network, and carry .whl" >&2
        exit 1
    }
}

render() { # SIZE
    [ -f "$work/css-$1/manifest.json" ] ||
        step "$PYTHON" -m css_gen.cli render --n "$IMAGES" --size "$1" --out "$work/css-$1"
}

train() { # SIZE, then options of `tirg-bench run`
    local size=$1
    shift
    render "$size"
    step "$PYTHON" -m benchmark.cli run --device "$DEVICE" --data "css=$work/css-$size" \
        --out "$landing/leaderboards" --runs "$landing/runs" --checkpoint-seconds 600 "$@" "${sets[@]}"
}

landed() { # DATASET PRESET: what has landed is not made again
    local record
    for record in leaderboards/records/"$1"/*/"$2"*; do
        [ -f "$record" ] && mkdir -p "$landing/${record%/*}" && cp "$record" "$landing/$record"
    done
    true
}

archive() { # what is done by now
    local parts=() part
    for part in leaderboards/records runs/records runs/gpu speed/results; do
        [ ! -e "$landing/$part" ] || parts+=("$part")
    done
    cp "$work/$name.log" "$landing/runs/gpu"
    local temporary=$OUT/.$name.$BASHPID.tar.gz
    tar -C "$landing" -czf "$temporary" "${parts[@]}" && mv "$temporary" "$OUT/$name.tar.gz"
}

archive_now_and_then() { # for as long as the script lives, because it may be killed outright
    while sleep "${ARCHIVE_EVERY:-20}" && kill -0 $$; do archive || true; done
}

bring_back() { # at the end, however it comes
    kill "$archiver" 2> /dev/null || true
    wait "$archiver" || true
    archive
    rm -f "$OUT/.$name."*
    echo "gpu.sh: at $SECONDS s: $failures failures, $(du -k "$OUT/$name.tar.gz" | cut -f1) KiB in $OUT/$name.tar.gz" >&2
}

smoke() { # does every composer run here
    train 128 --preset standard --all --dataset css "${validation[@]}" --set training.steps=20
    train 128 --preset standard --composer tirg --dataset css-2d3d "${validation[@]}" --set training.steps=20
}

profile() { # where the time of a step goes, and how long it takes compiled, and with the other recipes
    step_of standard
    step_of standard --rate-only --name "rate-compiled-$DEVICE" --compile
    step_of standard --rate-only --name "rate-adamw-$DEVICE" --set training.optimiser=adamw
    step_of standard --rate-only --name "rate-96px-$DEVICE" --set data.image_size=96
    step_of paper --rate-only --name "rate-paper-$DEVICE"
}

step_of() { # PRESET, then options of profile_step.py
    local preset=$1
    shift
    render 128
    step "$PYTHON" speed/profile_step.py --device "$DEVICE" --data "$work/css-128" --preset "$preset" \
        --results "$landing/speed/results" "$@" "${sets[@]}" ${STEPS:+--steps "$STEPS"}
}

speed() { # beside google/tirg's step, in one run
    render 128
    step "$PYTHON" speed/train.py --device "$DEVICE" --data "$work/css-128" --seconds "${SECONDS_EACH:-30}" \
        --queries "${COUNT:-18012}" --images "${COUNT:-19012}" --standard \
        --out "$landing/speed/results/train-$DEVICE.json"
}

tune() { # TIRG on the held-out part of the training split, one --set (or several, joined by commas) an ARGUMENT
    local change assignment assignments settings
    for change in "$@"; do
        settings=()
        IFS=, read -ra assignments <<< "$change"
        for assignment in "${assignments[@]}"; do settings+=(--set "$assignment"); done
        train 128 --preset standard --composer tirg --dataset css "${validation[@]}" "${settings[@]}"
    done
}

board() { # PROTOCOL SEED: every composer
    landed "$1" standard
    train 128 --preset standard --composer tirg --dataset "$1" --seed "$2"
    train 128 --preset standard --all --dataset "$1" --seed "$2"
}

paper() { # google/tirg's recipe, TIRG alone: STEPS of its 160,000 that fit
    landed css paper
    train 224 --preset paper --composer tirg --dataset css
}

first() { # everything that has to be known before a board is trained, the most important part first
    smoke
    profile
    tune training.steps=800 training.steps=800,training.optimiser=adamw \
        training.steps=800,training.learning_rate=5e-3,training.scale_factor=30 training.steps=800,data.image_size=96
}

case $job in
    carry) # into .whl, which git ignores: wheels for the GPU machine's Python 3.12, and which commit this is
        rm -rf .whl
        "$PYTHON" -m pip download --only-binary=:all: --python-version "${PYTHON_THERE:-3.12}" --implementation cp \
            --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
            -d .whl pydantic isal "click>=8.4"
        commit=$(git rev-parse HEAD) && echo "$commit$(git diff --quiet HEAD -- ':/*.py' || echo +)" > .whl/commit
        exit
        ;;
    queue) # every line of the queue that is not struck, one after the other, on a GPU of one's own
        while read -r line; do
            LIMIT=0 bash -c "$line" < /dev/null || failures=1
        done < <(sed -nE 's/^\| [0-9]+ \| `([^`]*speed\/gpu\.sh [^`]*)`.*/\1/p' speed/GPU_QUEUE.md)
        exit "$failures"
        ;;
    smoke | profile | speed | tune | board | paper | first) ;;
    *)
        echo "gpu.sh: there is no job $job; speed/GPU_QUEUE.md lists them" >&2
        exit 2
        ;;
esac

OUT=${OUT:?a folder for the results}
name=$job
[ "$job" != board ] || name=board-${1:?css, css-2d3d or css-pooled}-s${2:?a seed}
mkdir -p "$OUT" "$landing/runs/gpu"
exec > >(tee "$work/$name.log") 2>&1
archive_now_and_then > /dev/null 2>&1 &
archiver=$!
trap bring_back EXIT
carried
"$job" "$@"
exit $((failures > 0))
