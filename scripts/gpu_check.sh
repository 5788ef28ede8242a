#!/usr/bin/env bash
# Checks training on all GPUs of this machine against one, in minutes: same losses, images per
# second, scaling, memory. Sets up .venv with CUDA's libraries, prints tables, and writes
# gpu_check.txt and gpu_check.json, to send back. Arguments go to `melanoma-tf doctor --devices`.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v nvidia-smi >/dev/null || { echo "expected NVIDIA GPUs; found no nvidia-smi" >&2; exit 1; }
source scripts/environment.sh
prepare_environment ""
tensorflow=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("tensorflow"))')
.venv/bin/python -m pip install --quiet "tensorflow[and-cuda]==$tensorflow"
{
    nvidia-smi
    nvidia-smi topo --matrix || echo "no topology"
    .venv/bin/melanoma-tf doctor --devices --json gpu_check.json --overwrite "$@"
} 2>&1 | tee gpu_check.txt
