"""Servers on loopback: a web server that may fail on purpose, and an object store."""

import contextlib
import functools
import http.server
import os
import threading
import urllib.request
from pathlib import Path

# As `core.remote` sets it, if no test has imported gcsfs by then.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
KEY, SECRET = "AKIALOOPBACK", "no-one-may-read-this"


class FailingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files; the first `failures` requests for a file are cut off in the middle."""

    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.partition("?")[0].rpartition("/")[2]
        if self.server.failures.get(name, 0) and not self.path.endswith("/"):
            self.server.failures[name] -= 1
            content = self.server.content(self.translate_path(self.path))
            self.send_response(self.server.status)
            if self.server.announces:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *args):
        """Say nothing."""


@contextlib.contextmanager
def web_server(folder):
    """Serve a folder; `failures` of the server says how often a file is cut off."""
    handler = functools.partial(FailingHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.failures, server.requests, server.status, server.announces = {}, [], 200, True
        server.content = lambda path: Path(path).read_bytes()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextlib.contextmanager
def object_store(monkeypatch):
    """An S3 server with the bucket `bucket`, found by the usual environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # Its buckets are those of the process: earlier tests may have left some.
    with urllib.request.urlopen(f"{url}/moto-api/reset", data=b""):
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(use_listings_cache=False)
    system.mkdir("bucket")
    yield system
    server.stop()


@contextlib.contextmanager
def google_store(monkeypatch):
    """A Google Cloud Storage server with the bucket `bucket`, found by the usual environment."""
    from gcp_storage_emulator.server import create_server

    # It answers one connection at a time; the default queue of 5 drops others, which wait seconds.
    monkeypatch.setattr(http.server.HTTPServer, "request_queue_size", 256)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        host, port = server._api._httpd.socket.getsockname()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{host}:{port}")
        import gcsfs

        gcsfs.GCSFileSystem.clear_instance_cache()
        yield gcsfs.GCSFileSystem(use_listings_cache=False)
    finally:
        server.stop()


STORES = {
    "s3": (object_store, ("s3fs", "moto")),
    "gs": (google_store, ("gcsfs", "gcp_storage_emulator")),
}
