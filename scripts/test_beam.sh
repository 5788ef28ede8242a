#!/usr/bin/env bash
# Installs Apache Beam into the environment of scripts/test.sh, and runs the tests that need it. On
# Python 3.9 and from 3.12 on they are left out: Beam does not go with what TensorFlow needs there.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment "[dev]"
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))'; then
    echo "Apache Beam needs Python 3.10 or 3.11: its tests are left out" >&2
    exit 0
fi
.venv/bin/python -c 'import apache_beam' 2>/dev/null ||
    .venv/bin/python -m pip install --quiet --constraint scripts/constraints.txt --editable ".[beam]"
.venv/bin/python -m pytest -m beam tests/beam "$@"
