"""Object storage as it is in other places: over real HTTP."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from engines.errors import EngineUnavailable
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.index_shelf import REMOTE_RETRIES
from tests.engines.knowledge.bases import ask, document, passages, texts


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as is asked for here; whether it minds `If-None-Match` is told by `minds`."""

    protocol_version = "HTTP/1.1"
    held: dict[str, bytes]
    minds: bool
    broken: bool
    tries: list[str]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.broken:
            self.tries.append(self.path)
            self._answer(503)
            return
        if self.minds and self.headers["If-None-Match"] == "*" and self.path in self.held:
            self._answer(412)
            return
        self.held[self.path] = body
        self._answer(200)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = parse_qs(address.query)
        if "list-type" in asked:
            self._answer(200, self._listed(asked).encode())
        elif address.path in self.held:
            self._answer(200, self.held[address.path])
        else:
            self._answer(404)

    def do_POST(self) -> None:
        """Deletes several at once."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        names = re.findall("<Key>(.*?)</Key>", body)
        for name in names:
            self.held.pop(f"/bucket/{name}", None)
        deleted = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def _listed(self, asked: dict[str, list[str]]) -> str:
        names = sorted(path.removeprefix("/bucket/") for path in self.held)
        prefix, after = asked.get("prefix", [""])[0], asked.get("start-after", [""])[0]
        found = "".join(
            f"<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>1</ETag><Size>{len(self.held[f'/bucket/{name}'])}</Size></Contents>"
            for name in names
            if name.startswith(prefix) and name > after
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", "1")
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    own = type("Own", (Bucket,), {"held": {}, "minds": True, "broken": False, "tries": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    settings = {
        "AWS_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "here",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    yield own
    server.shutdown()
    thread.join()
    server.server_close()


def test_bases_are_kept_in_object_storage(bucket: type[Bucket]) -> None:
    index = KnowledgeIndex("s3://bucket/courses")
    index.create("water")
    index.put("water", document("a.md"), passages(["A saxophone."]))
    other = KnowledgeIndex("s3://bucket/courses")
    assert texts(ask(other, "water", "saxophone")) == ["A saxophone."]
    assert all(path.startswith("/bucket/courses/bases/") for path in bucket.held)


def test_storage_that_would_lose_what_is_written_at_once_is_refused(
    bucket: type[Bucket],
) -> None:
    bucket.minds = False
    index = KnowledgeIndex("s3://bucket/courses")
    with pytest.raises(EngineUnavailable, match=r"conditional writes .* or a folder"):
        index.create("water")
    assert bucket.held == {}


def test_storage_that_is_broken_is_soon_given_up(bucket: type[Bucket]) -> None:
    bucket.broken = True
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        KnowledgeIndex("s3://bucket/courses").create("water")
    assert len(bucket.tries) == 1 + REMOTE_RETRIES
