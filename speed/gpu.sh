#!/usr/bin/env bash
# The jobs of speed/GPU_QUEUE.md: bash speed/gpu.sh --help. PYTHON names another Python.
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu.py" "$@"
