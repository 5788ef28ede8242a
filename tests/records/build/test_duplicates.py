"""Planted copies are found and distinct pictures are not, from the hash up to the command."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.lesion import Lesion
from melanoma_tf.records.build import candidates as candidates_module
from melanoma_tf.records.build.candidates import find_candidates
from melanoma_tf.records.build.duplicates import (
    Cluster,
    Pair,
    find_clusters,
    find_pairs,
    resolve_duplicates,
)
from melanoma_tf.records.build.prepare import ImageFiles, Prepared, prepare
from melanoma_tf.records.build.spectra import ORIENTATIONS, oriented
from melanoma_tf.records.build.thumbnails import BLANK, ThumbnailFile, make_thumbnail
from melanoma_tf.records.encode import Encoding


def skin(seed: int, height: int = 150, width: int = 200) -> np.ndarray:
    """A grey image with structures of all sizes, another for every seed."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width))
    for cells, weight in ((4, 60), (9, 35), (20, 20), (45, 10)):
        coarse = generator.standard_normal((cells, cells))
        image += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def cropped(image, share):
    rows, columns = (round(share * size) for size in image.shape[:2])
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def recompressed(image, quality):
    return cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED
    )


def resized(image, factor):
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


COPIES = {
    "the same file": lambda image: image,
    "half the size": lambda image: resized(image, 0.5),
    "squeezed into a square": lambda image: cv2.resize(image, (120, 120)),
    "JPEG quality 40": lambda image: recompressed(image, 40),
    "cropped by 2 % on each side": lambda image: cropped(image, 0.02),
    "cropped by 4 % on each side": lambda image: cropped(image, 0.04),
    "cropped by 2 % on two sides": lambda image: image[3:, 4:],
    "cropped by 4 % on two sides": lambda image: image[:-6, 8:],
    "JPEG quality 10": lambda image: recompressed(image, 10),
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned by a quarter": np.rot90,
    "brighter": lambda image: np.clip(image * 1.1 + 8, 0, 255).astype(np.uint8),
    "all at once": lambda image: recompressed(resized(cropped(image, 0.02)[:, ::-1], 0.7), 70),
}


def thumbnails(images):
    return [make_thumbnail(np.ascontiguousarray(image)) for image in images]


def stack(images):
    return np.array(images, np.uint8).reshape(-1, 64, 64)


def found_pairs(images):
    return [(pair.left, pair.right) for pair in find_pairs(stack(thumbnails(images)))]


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_among_other_pictures(name):
    others = [skin(seed) for seed in range(60)]
    copies = [COPIES[name](others[index]) for index in (5, 17, 40)]
    assert found_pairs(others + copies) == [(5, 60), (17, 61), (40, 62)]


def test_distinct_pictures_are_not_paired():
    assert found_pairs([skin(seed) for seed in range(300)]) == []


def test_every_orientation_is_looked_for():
    image = make_thumbnail(skin(0, 150, 150))
    for orientation in range(len(ORIENTATIONS)):
        turned = np.stack([image, oriented(image, orientation)])
        (candidate,) = find_candidates(turned)
        assert np.isclose(candidate.correlation, 1, atol=1e-3)
        assert find_pairs(turned)[0].similarity > 0.99
    assert len({oriented(image, index).tobytes() for index in range(8)}) == 8


def test_another_photograph_of_a_like_lesion_is_another_picture():
    """A dark blob of one place and size on skin, as all lesions are, with details of its own."""
    rows, columns = np.mgrid[-1:1:200j, -1:1:200j]
    blob = 90 / (1 + np.exp(-12 * (0.5 - np.hypot(rows, columns))))
    images = [
        np.clip(190 - blob + 0.15 * (skin(seed, 200, 200).astype(float) - 128), 0, 255)
        for seed in range(40)
    ]
    assert found_pairs([image.astype(np.uint8) for image in images]) == []


def test_many_copies_hang_together_without_all_their_pairs():
    """Copies of one picture would have a square of pairs; they must cost no more than others."""
    copies = [skin(0)] * 300
    pairs = [*found_pairs([*copies, skin(1)])]
    assert len(pairs) < 3 * len(copies)
    reached = {0}
    for left, right in pairs:
        if left in reached:
            reached.add(right)
    assert reached == set(range(300))


def test_the_result_does_not_depend_on_chance_or_order():
    images = [skin(seed) for seed in range(30)]
    images += [COPIES["all at once"](image) for image in images[:10]]
    assert found_pairs(images) == [(index, index + 30) for index in range(10)]
    backwards = {(39 - right, 39 - left) for left, right in found_pairs(images[::-1])}
    assert backwards == set(found_pairs(images))


def test_a_file_of_thumbnails_reads_as_an_array():
    array = np.stack(thumbnails(skin(seed) for seed in range(5)))
    file = ThumbnailFile()
    for thumbnail in array:
        file.append(thumbnail)
    assert len(file) == 5
    for part in (slice(0, 2), slice(3, 9), slice(5, 7), slice(0, 0)):
        np.testing.assert_array_equal(file[part], array[part])
    for index in range(5):
        np.testing.assert_array_equal(file[index], array[index])


def test_images_without_structure_are_compared_with_none():
    flat = np.full((90, 120), 128, np.uint8)
    assert make_thumbnail(flat) is None
    blank = np.frombuffer(BLANK, np.uint8).reshape(64, 64)
    assert find_clusters([lesion("A"), lesion("B")], np.stack([blank, blank])) == []
    assert found_pairs([]) == []
    assert found_pairs([skin(0)]) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (20, 30), (65, 64)])
def test_images_of_any_shape_have_a_thumbnail_or_none(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    thumbnail = make_thumbnail(noise)
    assert thumbnail is None or thumbnail.shape == (64, 64)


def test_a_thumbnail_is_blind_to_brightness_and_size():
    image = skin(3, 512, 640)
    base = make_thumbnail(image).astype(int)
    dark = make_thumbnail((image // 2).astype(np.uint8)).astype(int)
    small = make_thumbnail(resized(image, 0.25)).astype(int)
    assert np.abs(base - dark).mean() < 2
    assert np.abs(base - small).mean() < 2


def test_large_jpegs_are_decoded_reduced_and_give_the_same_thumbnail(tmp_path):
    image = skin(4, 1200, 1600)
    cv2.imwrite(str(tmp_path / "a.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    cv2.imwrite(str(tmp_path / "a.png"), image)
    jpeg, png = (
        prepare(ImageFiles(tmp_path / name, None), Encoding(image_size=256), 200)
        for name in ("a.jpg", "a.png")
    )
    assert isinstance(jpeg, Prepared)
    assert jpeg.pixels == png.pixels == 1200 * 1600
    assert np.abs(jpeg.thumbnail.astype(int) - png.thumbnail).mean() < 2


@pytest.mark.parametrize("most_compared", [40_000, 0])
def test_comparing_all_and_hashing_find_the_same_copies(monkeypatch, most_compared):
    monkeypatch.setattr(candidates_module, "MOST_COMPARED", most_compared)
    images = [skin(seed) for seed in range(20)]
    images += [cropped(image, 0.03)[::-1] for image in images[:6]]
    assert found_pairs(images) == [(index, index + 20) for index in range(6)]


def lesion(key, source="made", split="train", path="none"):
    return Lesion(key, Path(path), None, "nevus", source, split)


def test_clusters_join_content_and_known_links():
    lesions = [lesion(f"K{index}") for index in range(5)]
    images = (skin(0), COPIES["mirrored"](skin(0)), skin(1), skin(2), skin(3))
    links = [("K1", "K3"), ("K4", "absent"), ("absent", "absent")]
    order = [4, 2, 0, 1, 3]
    stored = stack(thumbnails(images[index] for index in order))
    (cluster,) = find_clusters(lesions, stored, links, order=order, workers=2)
    assert cluster.members == (0, 1, 3)
    assert cluster.similarity > 0.95


CLUSTER = (Cluster((0, 1, 2), 0.97),)


def test_drop_leaves_the_largest_or_else_the_first_by_name():
    lesions = [lesion("B"), lesion("A"), lesion("C"), lesion("D")]
    stays = [False] * 4
    assert resolve_duplicates(lesions, stays, CLUSTER, [9, 9, 5, 1], "drop").dropped == {
        "made/B",
        "made/C",
    }
    assert resolve_duplicates(lesions, stays, CLUSTER, [5, 5, 9, 1], "drop").dropped == {
        "made/A",
        "made/B",
    }


def test_drop_leaves_the_held_out_images_all_of_them():
    lesions = [lesion("A"), lesion("B", split="test"), lesion("C", split="test")]
    resolved = resolve_duplicates(lesions, [False, True, True], CLUSTER, [9, 1, 1], "drop")
    assert resolved.dropped == {"made/A"}
    assert resolved.findings["dropped"] == ["made/A"]
    validation = [lesion("A"), lesion("B", split="validation"), lesion("C", split="test")]
    assert resolve_duplicates(validation, [True] * 3, CLUSTER, [9, 9, 1], "drop").dropped == {
        "made/A",
        "made/B",
    }
    # A split that is assigned again holds nothing out.
    assert resolve_duplicates(validation, [False] * 3, CLUSTER, [9, 1, 1], "drop").dropped == {
        "made/B",
        "made/C",
    }


def test_group_links_and_keep_only_reports():
    lesions = [lesion("A"), lesion("B"), lesion("C")]
    grouped = resolve_duplicates(lesions, [False] * 3, CLUSTER, [1, 1, 1], "group")
    assert set(itertools.chain(*grouped.links)) == {"made/A", "made/B", "made/C"}
    assert not grouped.dropped
    kept = resolve_duplicates(lesions, [False] * 3, CLUSTER, [1, 1, 1], "keep")
    assert not kept.links
    assert not kept.dropped
    assert kept.findings["clusters"] == [
        {"images": ["made/A", "made/B", "made/C"], "similarity": 0.97}
    ]
    with pytest.raises(MelanomaError, match="found 'merge'"):
        resolve_duplicates(lesions, [False] * 3, CLUSTER, [1, 1, 1], "merge")


def test_real_images_give_no_false_alarm_and_their_copies_are_found(real_data):
    folders = (
        real_data / "isic2017" / "ISIC-2017_Training_Data",
        real_data / "ham10000" / "HAM10000_images",
    )
    paths = sorted(folders[0].glob("*.jpg"))[:400] + sorted(folders[1].glob("*.jpg"))[:600]
    assert len(paths) == 1000
    real = [make_thumbnail(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in paths]
    planted = range(0, 1000, 40)
    for path_index in planted:
        image = cv2.imread(str(paths[path_index]), cv2.IMREAD_GRAYSCALE)
        real.append(make_thumbnail(COPIES["all at once"](image)))
    pairs = find_pairs(stack(real))
    assert [(pair.left, pair.right) for pair in pairs] == [
        (original, 1000 + number) for number, original in enumerate(planted)
    ]
    assert all(isinstance(pair, Pair) and pair.similarity <= 1 for pair in pairs)
