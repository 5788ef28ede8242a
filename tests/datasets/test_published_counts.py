"""The data sets as downloaded, against the counts that their authors published."""

from collections import Counter

from melanoma_tf.datasets.catalogue import list_source


def counts(listing, split=None):
    return Counter(row.diagnosis for row in listing.lesions if split in (None, row.split))


def test_isic2017(real_data):
    listing = list_source("isic2017", real_data / "isic2017-full")
    # challenge.isic-archive.com/landing/2017/44
    assert counts(listing, "train") == {"melanoma": 374, "nevus": 1372, "seborrheic_keratosis": 254}
    assert len(listing.lesions) == 2000 + 101
    # 49 of the 150 validation images are not there.
    assert len(listing.missing) == 49
    assert all(lesion.mask_path for lesion in listing.lesions)
    assert (listing.unlabelled, listing.passed_over) == ((), ())


def test_ph2(real_data):
    # doi:10.1109/EMBC.2013.6610779
    listing = list_source("ph2", real_data / "ph2")
    assert counts(listing) == {"nevus": 80, "atypical_nevus": 80, "melanoma": 40}
    assert all(lesion.mask_path for lesion in listing.lesions)
    assert (listing.missing, listing.unlabelled, listing.passed_over) == ((), (), ())
    assert counts(list_source("ph2", real_data / "ph2", {"atypical": "nevus"}))["nevus"] == 160


def test_ham10000(real_data):
    listing = list_source("ham10000", real_data / "ham10000-small")
    # doi:10.1038/sdata.2018.161
    assert sorted(counts(listing).values()) == [115, 142, 327, 514, 1099, 1113, 6705]
    assert len({lesion.lesion_id for lesion in listing.lesions}) == 7470
    assert all(lesion.mask_path for lesion in listing.lesions)
    assert (listing.missing, listing.unlabelled, listing.passed_over) == ((), (), ())
