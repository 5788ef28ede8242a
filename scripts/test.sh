#!/usr/bin/env bash
# Sets up .venv, then lints, checks types and runs the tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment "[dev]"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# The tests that compare with the challenges' own scorer say why they are skipped without it.
scripts/official_scorer.sh || echo "the official scorer cannot be installed: its tests are skipped" >&2
# Two processes, each file in one of them, so that TensorFlow is started twice and no more; the
# order is that of tests/conftest.py.
.venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder "$@"
