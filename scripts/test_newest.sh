#!/usr/bin/env bash
# Runs a part of the tests and a small demo on the newest supported Python from 3.12 on, with
# TensorFlow 2.21, in .venv-newest. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions
if ! newest=$(find_python python3.13 "$pyenv"/3.13.*/bin/python python3.12 "$pyenv"/3.12.*/bin/python); then
    echo "no Python 3.12 or 3.13 found: the tests on TensorFlow 2.21 are left out" >&2
    exit 0
fi
export VENV=.venv-newest
PYTHON=$newest prepare_environment "[dev]"
# The examples of the public names train one network of each kind.
"$VENV/bin/python" -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder \
    tests/test_public_api.py tests/core tests/exchange \
    tests/records/test_dicom.py tests/records/test_decode.py tests/records/test_writer.py \
    tests/training/test_checkpoints.py tests/training/test_weights.py \
    tests/training/test_compile_model.py \
    tests/segmentation/test_shipped.py tests/classification/test_shipped.py \
    tests/serving/test_export.py tests/serving/test_conversion.py "$@"
demo=$(mktemp -d)
trap 'rm -rf "$demo"' EXIT
"$VENV/bin/melanoma-tf" demo --work-dir "$demo/demo" --images 60 --image-size 64 --epochs 1
