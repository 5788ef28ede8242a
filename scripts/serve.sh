#!/usr/bin/env bash
# Serves the exported models of a folder by TensorFlow Serving's official container.
# usage: scripts/serve.sh [MODELS]        default: saved_models
# REST_PORT (8501), GRPC_PORT (8500) and IMAGE (tensorflow/serving:2.15.1) change what they say.
set -euo pipefail
cd "${0%/*}/.."
models=${1:-saved_models}
image=${IMAGE:-tensorflow/serving:2.15.1}
python=.venv/bin/python
[ -x "$python" ] || python=$(command -v python3 || true)

if ! command -v docker >/dev/null; then
    echo "scripts/serve.sh expected Docker; found no docker command. Install Docker, or classify without a server: melanoma-tf predict --model $models/NAME" >&2
    exit 1
fi
if ! docker info >/dev/null 2>&1; then
    echo "scripts/serve.sh expected a running Docker daemon; docker info fails" >&2
    exit 1
fi
config=$(mktemp -d)
trap 'rm -rf "$config"' EXIT
"$python" -m melanoma_tf serving-config "$models" --output "$config/serving"
# The server's own user reads what mktemp made for this one.
chmod 755 "$config"
docker run --rm --name melanoma-serving \
    -p "${REST_PORT:-8501}:8501" -p "${GRPC_PORT:-8500}:8500" \
    -v "$(realpath "$models"):/models:ro" -v "$config/serving:/config:ro" \
    "$image" \
    --model_config_file=/config/models.config \
    --allow_version_labels_for_unavailable_models=true \
    --enable_batching=true --batching_parameters_file=/config/batching_parameters.txt \
    --monitoring_config_file=/config/monitoring.config
