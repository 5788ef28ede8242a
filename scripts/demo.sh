#!/usr/bin/env bash
# Sets up .venv and runs the whole system on synthetic images. Arguments go to `melanoma-tf demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
prepare_environment ""
exec .venv/bin/melanoma-tf demo --overwrite "$@"
