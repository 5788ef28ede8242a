"""The graphs of exported models: pictures, statuses, and one bad photograph alone."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from melanoma_tf.classification.inputs import classifier_inputs
from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.core.keras import keras
from melanoma_tf.images.photographs import EMPTY, NO_PHOTOGRAPH, TOO_LARGE, UNREADABLE
from melanoma_tf.phantoms import PhantomSettings, draw_phantom
from melanoma_tf.records.decode import decode_image
from melanoma_tf.segmentation.lesion_segmenter import InferenceSettings, LesionSegmenter
from melanoma_tf.serving.classification_graph import ClassificationGraph, ClassifierParts
from melanoma_tf.serving.purification_graph import PurificationGraph
from melanoma_tf.serving.reader import PhotographReader

SIZE = 32
CLASSES = ("melanoma", "nevus")
PHOTO = draw_phantom("melanoma", 3, PhantomSettings((60, 80), hairs=1)).image


def encoded(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(PHOTO, "JPEG", exif=exif)


def darkness(size):
    """A segmenter: what is dark is lesion."""
    images = keras.Input((size, size, 3))
    mean = keras.layers.Lambda(lambda x: tf.reduce_mean(x, -1, keepdims=True))(images)
    return keras.Model(images, keras.layers.Rescaling(-1 / 255, 1.0)(mean))


def classifier():
    """Logits of two classes, by a convolution with fixed weights."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(4, 3, 2, activation="relu", name="convolution")(images / 255)
    network = keras.Model(images, features, name="network")
    inputs = keras.Input((SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(network(inputs))
    return keras.Model(inputs, keras.layers.Dense(len(CLASSES))(pooled))


class Inverter(tf.Module):
    """A purifier that is easy to recognise."""

    def __call__(self, image, lesion):
        return 255 - image, lesion * tf.constant(255, tf.uint8)


def parts(**changes):
    settings = ClassifierSettings(network=NetworkSettings("small", "none", image_size_px=SIZE))
    return ClassifierParts(
        **{
            "model": classifier(),
            "class_names": CLASSES,
            "inputs": classifier_inputs(settings, batch_size=1),
            "thresholds": {"0.82": [0.0, 1.1], "0.89": [None, 0.0]},
            "segmenter": LesionSegmenter(darkness(64), InferenceSettings(0.5)),
            "purifier": Inverter(),
            "saliency": False,
            "max_megapixels": 0.1,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def graph():
    return ClassificationGraph(parts())


def pixels_of(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_each_bad_photograph_gets_its_status_and_the_good_ones_their_answers(graph):
    good = encoded(PHOTO)
    batch = {
        "good": good,
        "empty": b"",
        "text": b"no image",
        "cut": good[: len(good) // 2],
        "bomb": encoded(np.zeros((400, 400), np.uint8)),
        "strip": encoded(np.zeros((2, 200), np.uint8)),
        "jpeg": encoded(PHOTO, "JPEG"),
        "cut jpeg": encoded(PHOTO, "JPEG")[:-40],
        "grey": encoded(PHOTO[..., 0]),
    }
    answer = {
        key: value.numpy() for key, value in graph.serve(tf.constant([*batch.values()])).items()
    }
    status = dict(zip(batch, answer["status"]))
    assert status == {
        **dict.fromkeys(("good", "jpeg", "grey"), 0),
        "empty": EMPTY, "text": 2, "cut": UNREADABLE, "cut jpeg": UNREADABLE,
        "bomb": TOO_LARGE, "strip": NO_PHOTOGRAPH,
    }  # fmt: skip
    for row, code in enumerate(answer["status"]):
        assert bool(answer["message"][row]) == bool(code)
        assert answer["probabilities"][row].sum() == pytest.approx(0 if code else 1, abs=1e-6)
    alone = graph.serve(tf.constant([good]))["probabilities"]
    np.testing.assert_allclose(answer["probabilities"][0], alone[0], atol=1e-6)


@pytest.mark.parametrize("signature", ["serve", "explain"])
@pytest.mark.parametrize("images", [[], [b"no image"]])
def test_a_batch_without_any_image_is_answered(graph, signature, images):
    answer = getattr(graph, signature)(tf.constant(images, tf.string))
    assert {len(value) for value in answer.values()} == {len(images)}
    assert answer["probabilities"].shape == (len(images), 2)


def test_a_turned_photograph_gets_the_answer_of_the_upright_one(graph):
    files = [turned(6), encoded(decode_image(turned(6)), "PNG")]
    answer = graph.explain(tf.constant(files))
    np.testing.assert_allclose(*answer["probabilities"].numpy(), atol=1e-6)
    masks = [pixels_of(each) for each in answer["mask_bytes"].numpy()]
    assert masks[0].shape == (80, 60)
    np.testing.assert_array_equal(*masks)


def test_thresholds_decide_by_class_and_an_undefined_one_never(graph):
    answer = graph.serve(tf.constant([encoded(PHOTO)]))
    assert answer["above_threshold_82"].numpy().tolist() == [[True, False]]
    assert answer["above_threshold_89"].numpy().tolist() == [[False, True]]


def test_decoded_images_get_the_answer_of_encoded_ones(graph):
    expected = graph.serve(tf.constant([encoded(PHOTO)]))
    images = np.stack([PHOTO, PHOTO]).astype(np.float32)
    images[1, 0, 0, 0] = np.nan
    answer = graph.serve_tensor(images)
    np.testing.assert_allclose(answer["probabilities"][0], expected["probabilities"][0], atol=1e-6)
    assert np.isfinite(answer["probabilities"]).all()
    refused = graph.serve_tensor(np.zeros((2, 1, 100, 3), np.float32))
    assert refused["status"].numpy().tolist() == [NO_PHOTOGRAPH] * 2


def test_examples_of_records_get_the_answer_of_their_image(graph):
    def example(content):
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
        features = tf.train.Features(feature={"image/encoded": feature})
        return tf.train.Example(features=features).SerializeToString()

    answer = graph.serve_examples(tf.constant([example(encoded(PHOTO)), b""]))
    assert set(answer) == {"classes", "scores"}  # What the Classify method allows.
    expected = graph.serve(tf.constant([encoded(PHOTO)]))["probabilities"]
    np.testing.assert_allclose(answer["scores"][0], expected[0], atol=1e-6)
    assert not answer["scores"][1].numpy().any()


def test_explanations_show_the_mask_the_purified_image_and_an_outline(graph):
    answer = graph.explain(tf.constant([b"", encoded(PHOTO)]))
    assert [each.numpy() for each in (answer["mask_bytes"][0], answer["overlay_bytes"][0])] == [
        b""
    ] * 2
    mask = pixels_of(answer["mask_bytes"][1].numpy())
    segmenter = LesionSegmenter(darkness(64), InferenceSettings(0.5))
    np.testing.assert_array_equal(mask, segmenter.mask(PHOTO))
    purified = pixels_of(answer["purified_bytes"][1].numpy())
    np.testing.assert_array_equal(purified[..., ::-1], 255 - PHOTO)
    changed = (pixels_of(answer["overlay_bytes"][1].numpy())[..., ::-1] != PHOTO).any(-1)
    inner = cv2.erode(np.pad(mask, 5), np.ones((5, 5), np.uint8))[5:-5, 5:-5] > 0
    assert changed.any()
    assert not changed[inner | (mask == 0)].any()


def test_the_segment_and_purify_signatures_answer_each_image_alone(graph):
    files = tf.constant([encoded(PHOTO), b"no image", turned(3)])
    segmented, purified = graph.segmentation.segment(files), graph.purification.purify(files)
    assert segmented["status"].numpy().tolist() == purified["status"].numpy().tolist() == [0, 2, 0]
    for row in (0, 2):
        upright = decode_image(files[row].numpy())
        own = pixels_of(segmented["mask_bytes"][row].numpy())
        np.testing.assert_array_equal(own, graph.segmentation.segmenter.mask(upright))
        found = pixels_of(purified["purified_bytes"][row].numpy())
        np.testing.assert_array_equal(found[..., ::-1], 255 - upright)
        # What the purifier gets as the lesion is what the segmenter found.
        np.testing.assert_array_equal(pixels_of(purified["occlusions_bytes"][row].numpy()), own)


def test_without_a_segmenter_a_purifier_gets_an_empty_mask():
    alone = PurificationGraph(Inverter(), None, PhotographReader(1.0))
    answer = alone.purify(tf.constant([encoded(PHOTO)]))
    assert not pixels_of(answer["occlusions_bytes"][0].numpy()).any()


def test_the_heat_of_a_saliency_map_covers_the_square_that_was_seen():
    from melanoma_tf.serving.pictures import LONG_SIDE_PX, as_picture, with_saliency

    picture = np.full((100, 140, 3), 200, np.uint8)
    shown = with_saliency(tf.constant(picture), tf.ones([8, 8]), 0.8).numpy()
    rows, columns = np.nonzero((shown != picture).any(-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 89, 30, 109)
    wide = as_picture(tf.zeros([1000, 2048, 3], tf.uint8))
    assert wide.shape == (500, LONG_SIDE_PX, 3)
