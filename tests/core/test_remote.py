"""Files of web servers whose connections drop: whole, or a clear error."""

import pytest

from melanoma_tf.core import remote
from melanoma_tf.core.errors import MelanomaError
from tests.core.remote_servers import STORES, web_server

pytest.importorskip("aiohttp", reason="the extra `remote` is not installed")
CONTENT = bytes(range(256)) * 64


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of one file, `a shard`, in `records`; pauses are short."""
    monkeypatch.setattr(remote, "_FIRST_DELAY_SECONDS", 0.001)
    (tmp_path / "records" / "sub").mkdir(parents=True)
    (tmp_path / "records" / "shard").write_bytes(CONTENT)
    (tmp_path / "records" / "sub" / "a b.csv").write_bytes(b"x")
    with web_server(tmp_path) as server:
        yield server


def test_a_web_folder_is_listed_with_its_sub_folders(server):
    found = remote.list_files(f"{server.url}/records")
    assert sorted(found) == ["shard", "sub/a b.csv"]
    (described,) = remote.describe_files(f"{server.url}/records", ["sub/a b.csv"])
    assert described.size_bytes == 1
    assert described.version
    assert remote.list_files(f"{server.url}/absent") == {}
    assert remote.read_file(f"{server.url}/records", "absent") is None


@pytest.mark.parametrize(("status", "announces"), [(200, True), (200, False), (503, True)])
def test_a_dropped_connection_is_tried_again(server, tmp_path, status, announces):
    server.failures, server.status, server.announces = {"shard": 3}, status, announces
    target = tmp_path / "target"
    remote.fetch_file(f"{server.url}/records", "shard", target, size_bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert server.requests == ["/records/shard"] * 4


@pytest.mark.parametrize("announces", [True, False])
def test_a_file_that_never_arrives_whole_is_an_error(server, tmp_path, announces):
    server.failures, server.announces = {"shard": 99}, announces
    folder = f"{server.url}/records?signature=secret"
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MelanomaError, match=r"cannot fetch .*/records/shard after 5 att") as caught:
        remote.fetch_file(folder, "shard", tmp_path / "target", size_bytes=len(CONTENT))
    assert "secret" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    assert server.requests == ["/records/shard?signature=secret"] * 5


def test_another_content_of_the_same_size_is_an_error(server, tmp_path):
    with pytest.raises(MelanomaError, match="SHA-256"):
        remote.fetch_file(f"{server.url}/records", "shard", tmp_path / "t", sha256="0" * 64)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_tried_again(server, tmp_path, status):
    server.failures, server.status = {"shard": 99}, status
    with pytest.raises(MelanomaError, match=f"cannot fetch .*{status}"):
        remote.fetch_file(f"{server.url}/records", "shard", tmp_path / "t")
    assert len(server.requests) == 1


def test_an_absent_server_is_an_error(monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_DELAY_SECONDS", 0.001)
    with pytest.raises(MelanomaError, match=r"cannot read http://127.0.0.1:9/x/y after 5 attempts"):
        remote.read_file("http://me:word@127.0.0.1:9/x", "y")


@pytest.mark.parametrize("scheme", STORES)
def test_files_of_a_store(tmp_path, monkeypatch, scheme):
    make, libraries = STORES[scheme]
    for library in libraries:
        pytest.importorskip(library, reason=f"{library} is not installed: no {scheme}://")
    # More than one chunk of an upload.
    contents = {"empty": b"", "a b.csv": b"x", "sub/shard": CONTENT * 400}
    folder = f"{scheme}://bucket/some/records"
    with make(monkeypatch):
        assert remote.list_files(folder) == {}
        for name, content in contents.items():
            (tmp_path / "source").write_bytes(content)
            remote.put_file(tmp_path / "source", folder, name)
        found = remote.list_files(folder)
        assert {name: found[name].size_bytes for name in found} == {
            name: len(content) for name, content in contents.items()
        }
        version = found["a b.csv"].version
        assert [remote.RemoteFile("a b.csv", 1, version)] == remote.describe_files(
            folder, ["a b.csv"]
        )
        for name, content in contents.items():
            remote.fetch_file(folder, name, tmp_path / "target", size_bytes=len(content))
            assert (tmp_path / "target").read_bytes() == content
        (tmp_path / "source").write_bytes(b"y")
        remote.put_file(tmp_path / "source", folder, "a b.csv")
        assert remote.list_files(folder)["a b.csv"].version != version
        assert remote.read_file(folder, "a b.csv") == b"y"
        assert remote.read_file(folder, "absent") is None
        with pytest.raises(MelanomaError, match=r"cannot fetch .*absent: it does not exist"):
            remote.fetch_file(folder, "absent", tmp_path / "target")
        remote.remove_files(folder, ["a b.csv", "absent"])
        assert set(remote.list_files(folder)) == {"empty", "sub/shard"}


def test_a_missing_library_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(remote._LIBRARIES, "gs", "a_library_that_does_not_exist")
    with pytest.raises(MelanomaError, match=r"pip install 'melanoma-tf\[remote\]'"):
        remote.list_files("gs://bucket/records")


def test_the_first_error_of_several_is_raised():
    def task(item):
        if item == 3:
            raise MelanomaError("the third")
        return item

    with pytest.raises(MelanomaError, match="the third"):
        remote.in_parallel(task, range(9))
    assert remote.in_parallel(str, range(3)) == ["0", "1", "2"]
