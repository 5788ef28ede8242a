#!/usr/bin/env bash
# Makes .venv/official-scorer, the environment of the challenges' own scorer: it needs other versions
# of pandas and NumPy than TensorFlow 2.15. Does nothing where it is there. About 400 MB, once.
set -euo pipefail
cd "$(dirname "$0")/.."
requirements=scripts/official_scorer.txt
folder=.venv/official-scorer
stamp=$folder/installed-$(cksum <"$requirements" | cut -d' ' -f1)
if [ ! -e "$stamp" ]; then
    rm -rf "$folder"
    .venv/bin/python -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    touch "$stamp"
fi
