import cv2
import numpy as np

from melanoma_tf.records.build.build import BuildSettings, build_records
from melanoma_tf.records.contact_sheet import contact_sheet


def test_the_sheet_shows_images_of_every_class(make_lesion, make_listing, tmp_path):
    """Each class in one plain colour: that colour, and no other class's, fills its row."""
    colours = {"melanoma": (200, 0, 0), "nevus": (0, 200, 0), "seborrheic_keratosis": (0, 0, 200)}
    listing = make_listing(9)
    for lesion in listing.lesions:
        image = np.full((48, 48, 3), colours[lesion.diagnosis], np.uint8)
        cv2.imwrite(str(lesion.image_path), image[..., ::-1])
        lesion.mask_path.unlink()
        cv2.imwrite(str(lesion.mask_path), np.zeros((48, 48), np.uint8))
    settings = BuildSettings("isic2017", image_size=32, image_format="png")
    build_records([listing], settings, tmp_path / "out")
    encoded = contact_sheet(tmp_path / "out", per_class=4, tile_px=32)
    sheet = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    areas = [(sheet == colour).all(axis=-1) for colour in colours.values()]
    assert [area.sum() for area in areas] == [3 * 32 * 32] * 3
    rows = [np.flatnonzero(area.any(axis=1)).mean() for area in areas]
    assert rows == sorted(rows)
