"""The client of a model server: the answers of the local model, over REST and gRPC."""

import contextlib
import time

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from melanoma_tf.cli import main
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.serving import rest_client
from melanoma_tf.serving.address import ServedModel, ServerError
from melanoma_tf.serving.encoded_files import encoded_for_model
from melanoma_tf.serving.loader import load_classifier
from melanoma_tf.serving.remote import RemoteClassifier
from melanoma_tf.serving.settings import ServerSettings
from tests.serving.stand_in import grpc_server, rest_server

NAMES = ("melanoma", "nevus")
FAST = ServerSettings(concurrency=2, retries=3, timeout=20)


def brightness(images):
    """A model: nevus at the mean brightness; an image of brightness 90 is refused."""
    decoded = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in images]
    nevus = np.array([each.mean() / 255 for each in decoded], np.float32)
    bad = np.array([each.mean() == 90 for each in decoded])
    return {
        "probabilities": np.stack([1 - nevus, nevus], 1),
        "classes": np.array([NAMES] * len(images), dtype=object),
        "status": bad.astype(np.int32),
        "message": np.where(bad, b"too grey", b"").astype(object),
    }


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(rest_client, "_BACKOFF_SECONDS", 0.01)


@pytest.fixture(params=["rest", "grpc"])
def serve(request):
    if request.param == "grpc":
        pytest.importorskip("tensorflow_serving")

        @contextlib.contextmanager
        def serve(predict, unready=0):
            with grpc_server(predict, unavailable=unready) as url:
                yield url

        return serve
    return rest_server


@pytest.fixture
def files(tmp_path):
    for index in range(7):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((16, 18, 3), 30 * index, np.uint8))
    (tmp_path / "7.png").write_text("no image")
    return sorted(tmp_path.glob("*.png"))


def test_answers_arrive_in_order_and_one_bad_file_is_alone(serve, files):
    def slow(images):
        time.sleep(0.02 * (images[0] == files[0].read_bytes()))
        return brightness(images)

    with serve(slow) as url:
        answers = list(RemoteClassifier(url, FAST).predict(files, batch_size=2))
    assert [each.path for each in answers] == files
    assert [bool(each.error) for each in answers] == [each.stem in "37" for each in files]
    assert answers[3].error == "too grey"
    assert "found other bytes" in answers[7].error
    for index in (0, 1, 2, 4, 5, 6):
        assert answers[index].class_names == NAMES
        assert answers[index].probabilities[1] == pytest.approx(30 * index / 255, abs=1e-6)


def test_a_server_that_is_not_ready_yet_is_asked_again(serve, files):
    with serve(brightness, unready=2) as url:
        answers = list(RemoteClassifier(url, ServerSettings(retries=3)).predict(files[:1]))
    assert answers[0].best == "melanoma"


def test_a_server_that_never_gets_ready_is_one_line(serve, files):
    with serve(brightness, unready=100) as url, pytest.raises(ServerError) as caught:
        list(RemoteClassifier(url, ServerSettings(retries=1)).predict(files[:1]))
    assert "not ready" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_served_is_one_line(serve, files):
    with serve(brightness) as url, pytest.raises(ServerError, match=r"NOT_FOUND|HTTP status 404"):
        list(RemoteClassifier(url.replace("first", "second"), FAST).predict(files))


def test_outputs_of_something_else_are_refused(serve, files):
    def masks(images):
        return {"mask_bytes": np.array([b"mask"] * len(images), dtype=object)}

    with serve(masks) as url, pytest.raises(ServerError, match="expected the output classes, mess"):
        list(RemoteClassifier(url, FAST).predict(files))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "expected JSON; found other text"),
        (b"[]", "other JSON"),
        (b'{"outputs": []}', "expected predictions by name"),
        (b'{"predictions": [0.5]}', "expected predictions by name"),
        (b'{"predictions": []}', "expected 7 answers; found 0"),
    ],
)
def test_other_answers_over_rest_are_one_line(files, body, message):
    with rest_server(brightness, body=body) as url, pytest.raises(ServerError, match=message):
        list(RemoteClassifier(url, FAST).predict(files))


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_where_no_server_listens_the_address_is_named(files, scheme):
    url = f"{scheme}://127.0.0.1:9/first"
    if scheme == "grpc":
        pytest.importorskip("tensorflow_serving")
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        list(RemoteClassifier(url, ServerSettings(retries=0)).predict(files[:1]))


def test_an_exported_model_answers_on_a_server_as_locally(
    serve, exported, phantom_folder, tmp_path
):
    import tensorflow as tf

    local = load_classifier(exported)
    signature = local.exported.signatures["serving_default"]

    def served(images):
        return {key: value.numpy() for key, value in signature(images=tf.constant(images)).items()}

    photos = sorted((phantom_folder / "ISIC-2017_Training_Data").glob("*.jpg"))[:3]
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photos[0].read_bytes()[:-200] + b"\xff\xd9")
    with serve(served) as url:
        remote = list(RemoteClassifier(url, FAST).predict([*photos, cut], batch_size=2))
    for found, expected in zip(remote, local.predict([*photos, cut])):
        assert (found.path, found.class_names) == (expected.path, expected.class_names)
        assert found.error == expected.error
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_the_command_writes_what_it_writes_locally(files, tmp_path):
    output = tmp_path / "predictions.csv"
    with rest_server(brightness) as url:
        command = ["predict", "--server", url, *map(str, files), "--output", str(output)]
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "2 of 8 files were not classified" in done.output
    lines = output.read_text().splitlines()
    assert lines[0] == "image_id,melanoma,nevus"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2", "4", "5", "6"]


def test_a_model_or_a_server_is_wanted(files):
    options = ["--model", "m", "--server", "http://h/v1/models/m"]
    done = CliRunner().invoke(main, ["predict", str(files[0]), *options])
    assert done.exit_code == 1
    assert "expected one of --model, --server, --run-dir; found" in done.output


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8501/v1/models/first", ("http", "h:8501", "first", None, None)),
        ("https://h/v1/models/first/versions/3", ("https", "h", "first", 3, None)),
        (
            "http://h:8501/v1/models/first/labels/stable/",
            ("http", "h:8501", "first", None, "stable"),
        ),
        ("grpc://h:8500/first", ("grpc", "h:8500", "first", None, None)),
        ("grpc://h:8500/first/versions/12", ("grpc", "h:8500", "first", 12, None)),
    ],
)
def test_addresses_are_those_of_tensorflow_serving(url, expected):
    model = ServedModel.parse(url)
    assert (model.scheme, model.host, model.name, model.version, model.label) == expected
    if model.scheme != "grpc":
        assert rest_client.predict_url(model) == url.rstrip("/") + ":predict"


@pytest.mark.parametrize("url", ["h:8501", "ftp://h/m", "http://h", "grpc://h/m/versions/x", ""])
def test_other_addresses_are_refused(url):
    with pytest.raises(MelanomaError, match="expected a "):
        ServedModel.parse(url)


def test_files_that_no_model_decodes_are_sent_as_png(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    for suffix in ("bmp", "tif", "png"):
        path = tmp_path / f"photo.{suffix}"
        cv2.imwrite(str(path), pixels)
        sent = encoded_for_model(path)
        assert sent.startswith(b"\x89PNG")
        np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(sent, np.uint8), 1), pixels)
    (tmp_path / "text.bmp").write_text("no image")
    assert "found other bytes" in str(encoded_for_model(tmp_path / "text.bmp"))
    assert "No such file" in str(encoded_for_model(tmp_path / "absent.png"))


def test_requests_are_tensorflow_serving_s_own():
    apis = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    import tensorflow as tf

    from melanoma_tf.serving.grpc_client import predict_request, rows_of

    images = [b"\xff\xd8\0one", b""]
    request = predict_request(ServedModel.parse("grpc://h/first/labels/stable"), images)
    request = apis.PredictRequest.FromString(request.SerializeToString())
    assert (request.model_spec.name, request.model_spec.version_label) == ("first", "stable")
    assert list(tf.make_ndarray(request.inputs["images"])) == images
    assert rest_client.predict_body(images) == {"instances": [{"b64": "/9gAb25l"}, {"b64": ""}]}
    response = apis.PredictResponse()
    response.outputs["status"].CopyFrom(tf.make_tensor_proto([0, 2]))
    response.outputs["message"].CopyFrom(tf.make_tensor_proto([b"", b"empty"]))
    assert rows_of(response) == [{"status": 0, "message": b""}, {"status": 2, "message": b"empty"}]
