"""The Kubernetes examples: valid by Kubernetes' own schemas, and of commands that exist."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma_tf.training.workers import visible_workers
from tests.test_docs import command_of, options_of

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "deploy"
VERSION = "1.30"


def manifests(path):
    yaml = pytest.importorskip("yaml")
    return [*yaml.safe_load_all(path.read_text())]


@pytest.mark.parametrize("name", ["kubernetes.yaml", "kubernetes/train.yaml"])
def test_kubernetes_would_accept_them(name):
    validator = pytest.importorskip("kubernetes_validate")
    found = manifests(FOLDER / name)
    assert len(found) == 2
    for manifest in found:
        validator.validate(manifest, VERSION, strict=True)
    found[0]["spec"]["replica"] = 2
    with pytest.raises(validator.ValidationError):
        validator.validate(found[0], VERSION, strict=True)


def test_each_worker_of_the_training_gets_its_place():
    service, job = manifests(FOLDER / "kubernetes" / "train.yaml")
    spec, pod = job["spec"], job["spec"]["template"]
    container = pod["spec"]["containers"][0]
    workers = spec["completions"]
    assert spec["parallelism"] == workers
    assert {"name": "WORKERS", "value": str(workers)} in container["env"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    script = container["args"][0].replace(".venv/bin/python", sys.executable)
    script = script.replace("exec .venv/bin/melanoma-tf", 'echo "$TF_CONFIG"; exec echo')
    for index in range(workers):
        done = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=True,
            env={**os.environ, "WORKERS": str(workers), "JOB_COMPLETION_INDEX": str(index)},
        )  # fmt: skip
        configuration, command = done.stdout.splitlines()
        found = visible_workers({"TF_CONFIG": configuration})
        assert (found.count, found.index) == (workers, index)
        # The names that an indexed job gives to its pods, behind a headless service.
        assert found.addresses[index] == (
            f"{job['metadata']['name']}-{index}.{pod['spec']['subdomain']}:"
            f"{service['spec']['ports'][0]['port']}"
        )
        assert json.loads(configuration)["task"]["index"] == index
    assert pod["spec"]["subdomain"] == service["metadata"]["name"]
    known, arguments = command_of(shlex.split(command))
    assert {each for each in arguments if each.startswith("--")} <= options_of(known)
