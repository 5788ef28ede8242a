import cv2
import numpy as np

from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.read import read_examples


def test_tensorflow_datasets_opens_a_record_folder(make_listing, tmp_path):
    import tensorflow_datasets as tfds

    settings = BuildSettings("isic2017", image_size=24, image_format="png", shards=2)
    manifest = build_records([make_listing(30)], settings, tmp_path / "made")
    builder = tfds.builder_from_directory(tmp_path / "made")
    assert builder.name == "made"
    assert builder.info.features["label"].names == list(manifest.class_names)
    assert "The makers of made" in builder.info.citation
    sets = builder.as_dataset()
    assert sets.keys() == {"train", "validation", "test"}
    for split, examples in sets.items():
        found = {row["image/key"].decode(): row for row in examples.as_numpy_iterator()}
        expected = {example.key: example for example in read_examples(tmp_path / "made", split)}
        assert found.keys() == expected.keys()
        assert builder.info.splits[split].num_examples == len(expected)
        for key, row in found.items():
            image = np.frombuffer(expected[key].image, np.uint8)
            pixels = cv2.imdecode(image, cv2.IMREAD_COLOR)[..., ::-1]
            np.testing.assert_array_equal(row["image/encoded"], pixels)
            assert row["label"] == expected[key].label
            assert row["label/text"].decode() == expected[key].label_text
            assert row["mask/encoded"] == expected[key].mask
