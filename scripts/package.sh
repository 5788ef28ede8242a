#!/usr/bin/env bash
# Builds the source archive and, from it, the wheel into dist/; checks what both hold.
# With --install: also installs the wheel into an empty environment and runs a small demo there.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment "[dev]"
python=$PWD/${VENV:-.venv}/bin/python
rm -f dist/melanoma_tf-*
"$python" -m build --outdir dist . | tail -n 1
"$python" scripts/check_wheel.py dist/*.whl dist/*.tar.gz
[ "${1:-}" = --install ] || exit 0

wheel=$(realpath dist/*.whl)
constraints=$(realpath scripts/constraints.txt)
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cd "$empty" # Away from the sources, which Python would import instead.
"$python" -m venv environment
environment/bin/python -m pip install --quiet --constraint "$constraints" "$wheel"
environment/bin/python -m pip check
environment/bin/melanoma-tf demo --work-dir demo --images 60 --image-size 64 --epochs 1
