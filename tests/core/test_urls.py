"""What is a URL, and what of one is ever shown."""

from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from melanoma_tf.core.errors import MelanomaError, in_one_line
from melanoma_tf.core.urls import full_url, is_remote, public_url, without_secrets

WORDS = st.text("abcXYZ019-._~+%", min_size=1, max_size=12)


@pytest.mark.parametrize("text", ["tfrecords/isic", "/data/s3", "s3", "c:/data", "ftp://host/x"])
def test_local_paths_are_no_urls(text):
    assert not is_remote(text)
    assert not is_remote(Path(text))


@pytest.mark.parametrize(
    "url", ["s3://bucket/a/b", "gs://bucket/a", "https://host:80/a", "http://h"]
)
def test_a_url_survives_as_a_path(url):
    assert is_remote(Path(url))
    assert full_url(Path(url)) == full_url(url + "/") == url
    assert full_url(Path(url), "x y/z.jpg") == f"{url}/x y/z.jpg"


def test_a_url_with_a_space_is_refused_and_not_cut_there():
    with pytest.raises(MelanomaError, match="expected a URL without spaces; found") as caught:
        full_url(Path("gs://me:word@bucket/first name/records?signature=x"))
    assert str(caught.value).endswith("gs://bucket/first")


@hypothesis.settings(max_examples=25)
@hypothesis.given(user=WORDS, password=WORDS, host=st.from_regex(r"[a-z]{1,9}", fullmatch=True),
                  folder=st.from_regex(r"[a-z]{1,9}", fullmatch=True), signature=WORDS)  # fmt: skip
def test_no_password_or_signature_is_shown(user, password, host, folder, signature):
    url = f"http://{user}:{password}@{host}/{folder}?X-Amz-Signature={signature}"
    assert public_url(url) == public_url(Path(url)) == f"http://{host}/{folder}"
    for given in (url, str(Path(url))):
        line = in_one_line(MelanomaError(f"cannot read {given} after 5 attempts"))
        assert line == f"cannot read http://{host}/{folder} after 5 attempts"


def test_other_text_stays():
    text = "data/photos: expected .jpg files (a?b@c), found none"
    assert without_secrets(text) == text
