"""Records on S3, Google and web servers: built there, verified, trained from there, resumed."""

import json

import pytest

from melanoma_tf.classification.settings import ClassifierSettings, NetworkSettings
from melanoma_tf.classification.train import train_classifier
from melanoma_tf.core import cache, remote
from melanoma_tf.core.errors import MelanomaError
from melanoma_tf.datasets.catalogue import list_source
from melanoma_tf.records.build.build import build_records
from melanoma_tf.records.build.settings import BuildSettings
from melanoma_tf.records.build.unfinished import unfinished_folder
from melanoma_tf.records.manifest import read_manifest
from melanoma_tf.records.record_set import RecordSet
from melanoma_tf.records.verify import verify_records
from tests.conftest import ONE_CONVOLUTION
from tests.core.remote_servers import KEY, SECRET, STORES, web_server

pytest.importorskip("aiohttp", reason="the extra `remote` is not installed")
SETTINGS = BuildSettings("isic2017", image_size=48, split="0.6/0.2/0.2", shards=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """An empty folder of local copies; pauses are short."""
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(remote, "_FIRST_DELAY_SECONDS", 0.001)


@pytest.fixture(params=STORES)
def scheme(request):
    for library in STORES[request.param][1]:
        pytest.importorskip(library, reason=f"{library} is not installed: no {request.param}://")
    return request.param


@pytest.fixture
def store(monkeypatch, scheme):
    with STORES[scheme][0](monkeypatch) as system:
        yield system


@pytest.fixture
def url(scheme):
    return f"{scheme}://bucket/some/records"


@pytest.fixture
def listing(phantom_folder):
    return list_source("isic2017", phantom_folder)


@pytest.fixture(scope="module")
def local(phantom_folder, tmp_path_factory):
    """The same records in a local folder."""
    folder = tmp_path_factory.mktemp("local") / "records"
    build_records([list_source("isic2017", phantom_folder)], SETTINGS, folder)
    return folder


def validation_losses(records, run_dir, *, broken):
    """Of a training of two epochs, in one go or with a break between them."""
    network = NetworkSettings(ONE_CONVOLUTION, "none", image_size_px=32)
    for epochs in (1, 2) if broken else (2,):
        settings = ClassifierSettings(epochs=epochs, batch_size=16, network=network)
        history = train_classifier(
            [records], run_dir, settings, resume=run_dir.exists(), log=lambda line: None
        )
    assert len(history["val_loss"]) == 2
    return history["val_loss"]


@pytest.fixture(scope="module")
def local_losses(local, tmp_path_factory):
    return validation_losses(local, tmp_path_factory.mktemp("runs") / "local", broken=False)


def test_build_there_verify_train_resume(
    store, scheme, url, phantom_folder, local, local_losses, tmp_path
):
    store.put(str(phantom_folder), "bucket/isic2017", recursive=True)
    there = list_source("isic2017", f"{scheme}://bucket/isic2017")
    build_records([there], SETTINGS, url)
    for path in local.iterdir():
        if path.name != ".melanoma-tf.json":
            assert store.cat(f"bucket/some/records/{path.name}") == path.read_bytes(), path.name
    assert verify_records(url) == []
    assert validation_losses(url, tmp_path / "run", broken=True) == local_losses
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["records"][0]["path"] == url
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(word.encode() in path.read_bytes() for path in written for word in (KEY, SECRET))


def test_a_copy_of_a_data_set_follows_its_changes(store, scheme, phantom_folder):
    store.put(str(phantom_folder), "bucket/isic2017", recursive=True)
    image = "ISIC-2017_Training_Data/PHANTOM_0000003.jpg"
    first = list_source("isic2017", f"{scheme}://bucket/isic2017").lesions[3].image_path
    unchanged = first.with_name("PHANTOM_0000004.jpg").stat()
    store.pipe(f"bucket/isic2017/{image}", b"another")
    store.rm_file("bucket/isic2017/ISIC-2017_Training_Data/PHANTOM_0000005.jpg")
    listing = list_source("isic2017", f"{scheme}://bucket/isic2017")
    assert first.read_bytes() == b"another"
    assert listing.missing == ("PHANTOM_0000005",)
    assert first.with_name("PHANTOM_0000004.jpg").stat() == unchanged


def test_an_upload_that_is_cut_off_is_no_folder_and_is_resumed(
    store, url, listing, local, monkeypatch
):
    put, sent = remote.put_file, []

    def failing(source, folder, name):
        sent.append(name)
        if "validation" in name:
            raise MelanomaError("the line is down")
        put(source, folder, name)

    monkeypatch.setattr("melanoma_tf.core.remote_outputs.put_file", failing)
    with pytest.raises(MelanomaError, match="the line is down"):
        build_records([listing], SETTINGS, url)
    assert sent[0] == ".melanoma-tf.json"
    with pytest.raises(MelanomaError, match=r"has no manifest\.json"):
        read_manifest(url)
    monkeypatch.setattr("melanoma_tf.core.remote_outputs.put_file", put)
    build_records([listing], SETTINGS, url, resume=True)
    assert read_manifest(url) == read_manifest(local)
    assert not unfinished_folder(remote.Path(url)).exists()


def test_nothing_there_is_overwritten_unasked(store, scheme, url, listing):
    build_records([listing], SETTINGS, url)
    with pytest.raises(MelanomaError, match="exists; expected a new path, or --overwrite"):
        build_records([listing], SETTINGS, url)
    fewer = BuildSettings("isic2017", image_size=48, split="0.6/0.2/0.2", shards=1)
    build_records([listing], fewer, url, overwrite=True)
    assert verify_records(url) == []
    assert len(read_manifest(url).shards) == 3
    store.pipe("bucket/some/records/thesis.txt", b"mine")
    with pytest.raises(MelanomaError, match=r"found 1 others, as thesis\.txt"):
        build_records([listing], SETTINGS, url, overwrite=True)
    assert verify_records(url) == []
    store.pipe("bucket/mine/thesis.txt", b"mine")
    with pytest.raises(MelanomaError, match="exists"):
        build_records([listing], SETTINGS, f"{scheme}://bucket/mine")


def test_a_damaged_shard_there_is_named(store, scheme, local):
    store.put(str(local), "bucket/records", recursive=True)
    url = f"{scheme}://bucket/records"
    name = read_manifest(local).shards[0].name
    content = bytearray(store.cat(f"bucket/records/{name}"))
    content[100] ^= 1
    store.pipe(f"bucket/records/{name}", bytes(content))
    (problem, *_) = verify_records(url)
    assert problem.startswith(name)
    assert "SHA-256" in problem
    with pytest.raises(MelanomaError, match=f"{name}.*SHA-256"):
        RecordSet.read(url).shard_paths("train")
    store.pipe(f"bucket/records/{name}", bytes(content[:-1]))
    with pytest.raises(MelanomaError, match=f"{name}: expected {len(content)} bytes; found"):
        RecordSet.read(url)
    store.rm_file(f"bucket/records/{name}")
    with pytest.raises(MelanomaError, match="that the manifest lists; it does not exist"):
        RecordSet.read(url)


def test_records_of_a_web_server_whose_connections_drop(local, listing):
    shards = read_manifest(local).shards
    with web_server(local.parent) as server:
        url = f"{server.url}/records"
        server.failures = {shards[0].name: 2, "manifest.json": 1}
        assert verify_records(url) == []
        fetched = RecordSet.read(url).shard_paths("train")
        expected = RecordSet.read(local).shard_paths("train")
        assert [path.read_bytes() for path in fetched] == [path.read_bytes() for path in expected]
        fetched[0].unlink()
        server.failures = {shards[0].name: 99}
        with pytest.raises(MelanomaError, match="after 5 attempts"):
            RecordSet.read(url).shard_paths("train")
        with pytest.raises(MelanomaError, match="to write; found http://127"):
            build_records([listing], SETTINGS, f"{server.url}/new")


def test_a_data_set_of_a_web_server(phantom_folder, listing):
    with web_server(phantom_folder.parent) as server:
        found = list_source("isic2017", f"{server.url}/{phantom_folder.name}")
        assert [lesion.key for lesion in found.lesions] == [each.key for each in listing.lesions]
        for one, other in zip(found.lesions, listing.lesions):
            assert one.image_path.read_bytes() == other.image_path.read_bytes()
        with pytest.raises(MelanomaError, match="expected a folder with files at"):
            list_source("isic2017", f"{server.url}/absent")


def test_local_outputs_are_refused_as_urls(run_command):
    result = run_command(
        "train", "classifier", "--records", "s3://b/x", "--run-dir", "s3://me:pw@b/run?x=y"
    )
    assert result.returncode == 2
    assert "expected a path on this machine; found s3://b/run" in result.stderr
    assert "pw" not in result.stderr
