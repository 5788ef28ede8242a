"""Configuration of TensorFlow Serving: text protos of its own messages, and files that use them."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving.server_config import (
    METRICS_PATH,
    batching_parameters,
    models_config,
    monitoring_config,
    write_server_config,
)
from melanoma_tf.serving.settings import ServingConfigSettings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FILES = ("batching_parameters.txt", "models.config", "monitoring.config")


def version(models, name, number):
    folder = models / name / str(number)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"model")


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "saved_models"
    for name, numbers in (("first", (1, 2, 10)), ("outlines", (4,))):
        for number in numbers:
            version(folder, name, number)
    (folder / "first" / "11").mkdir()  # Without a model in it.
    (folder / "empty").mkdir()
    (folder / "README.md").write_text("")
    return folder


def test_models_config_is_tensorflow_serving_s_message(models, tmp_path):
    config_pb2 = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    assert write_server_config(models, tmp_path / "config") == ["first", "outlines"]
    text = (tmp_path / "config" / "models.config").read_text()
    parsed = text_format.Parse(text, config_pb2.ModelServerConfig()).model_config_list.config
    assert [each.name for each in parsed] == ["first", "outlines"]
    assert [each.base_path for each in parsed] == ["/models/first", "/models/outlines"]
    assert {each.model_platform for each in parsed} == {"tensorflow"}
    versions = [list(each.model_version_policy.specific.versions) for each in parsed]
    assert versions == [[2, 10], [4]]
    assert dict(parsed[0].version_labels) == {"stable": 2, "canary": 10}
    assert dict(parsed[1].version_labels) == {"stable": 4, "canary": 4}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "Läsion 1", "{}#'"])
def test_names_of_folders_are_quoted(name):
    config_pb2 = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    text = models_config({name: [1]}, "/models/")
    (parsed,) = text_format.Parse(text, config_pb2.ModelServerConfig()).model_config_list.config
    assert (parsed.name, parsed.base_path) == (name, f"/models/{name}")


def message(name, fields):
    """A message class by its fields: those of TensorFlow Serving that its package leaves out."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto3", package=name)
    wrapper = file.message_type.add(name="Int64Value")
    wrapper.field.add(name="value", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    prometheus = file.message_type.add(name="PrometheusConfig")
    for number, (key, kind) in enumerate((("enable", "BOOL"), ("path", "STRING")), 1):
        kind = getattr(field, f"TYPE_{kind}")
        prometheus.field.add(name=key, number=number, type=kind, label=field.LABEL_OPTIONAL)
    whole = file.message_type.add(name=name)
    for key, (number, kind) in fields.items():
        if kind == "repeated":
            whole.field.add(
                name=key, number=number, type=field.TYPE_INT64, label=field.LABEL_REPEATED
            )
        else:
            whole.field.add(
                name=key, number=number, type=field.TYPE_MESSAGE, type_name=f".{name}.{kind}",
                label=field.LABEL_OPTIONAL,
            )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{name}.{name}"))


def test_batching_parameters_parse_and_end_at_the_largest_batch():
    # tensorflow_serving/servables/tensorflow/session_bundle_config.proto
    kind = message(
        "BatchingParameters",
        {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "allowed_batch_sizes": (6, "repeated"),
        },
    )
    for most, sizes in ((32, [1, 2, 4, 8, 16, 32]), (1, [1]), (24, [1, 2, 4, 8, 16, 24])):
        settings = ServingConfigSettings(max_batch_size=most, batch_timeout_ms=1.5)
        parsed = text_format.Parse(batching_parameters(settings), kind())
        assert parsed.max_batch_size.value == most
        assert list(parsed.allowed_batch_sizes) == sizes
        assert parsed.batch_timeout_micros.value == 1500
        assert parsed.num_batch_threads.value == 2


def test_monitoring_config_parses():
    # tensorflow_serving/config/monitoring_config.proto
    kind = message("MonitoringConfig", {"prometheus_config": (1, "PrometheusConfig")})
    parsed = text_format.Parse(monitoring_config(), kind()).prometheus_config
    assert parsed.enable
    assert parsed.path == METRICS_PATH


def test_the_command_replaces_only_when_asked(models, tmp_path):
    command = ["serving-config", str(models), "--output", str(tmp_path / "config")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "for first, outlines" in done.output
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert sorted(each.name for each in (tmp_path / "config").iterdir() if each.name[0] != ".") == [
        *FILES
    ]


def test_folders_without_models_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(MelanomaError, match="expected exported models as"):
            write_server_config(folder, tmp_path / "config")


def test_compose_and_kubernetes_use_the_files_that_are_written():
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((REPOSITORY / "deploy" / "docker-compose.yaml").read_text())
    manifests = [*yaml.safe_load_all((REPOSITORY / "deploy" / "kubernetes.yaml").read_text())]
    deployment, service = manifests
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    server = compose["services"]["serving"]
    assert server["image"] == container["image"]
    assert server["command"] == container["args"]
    for name in FILES:
        assert any(argument.endswith(f"=/config/{name}") for argument in container["args"])
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    assert mounts == {"/models", "/config"} == {v.split(":")[1] for v in server["volumes"]}
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS_PATH


def test_without_docker_the_script_says_so_in_one_line():
    done = subprocess.run(
        ["/bin/bash", REPOSITORY / "scripts" / "serve.sh"],
        capture_output=True, text=True, check=False, env={"PATH": "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "found no docker command" in done.stderr
