"""Bases in object storage: over S3's own protocol, against a server of it."""

import contextlib
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.errors import EngineUnavailable
from engines.knowledge import index as index_module
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.index_shelf import Shelf
from engines.knowledge.sample import put_sample
from engines.knowledge.spool import Spool
from tests.course import FOLDER
from tests.engines.knowledge.bases import WATER, about_water, ask, document, passages, texts
from tests.running import free_port

START_LIMIT_S = 60.0
"""It imports boto3, which takes seconds on a loaded machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with the bucket `courses`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _make_bucket(f"{url}/courses", process)
        yield url
    finally:
        process.kill()
        process.wait()


def _make_bucket(url: str, process: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < until_s:
        request = urllib.request.Request(url, method="PUT")
        with contextlib.suppress(OSError), urllib.request.urlopen(request):
            return
        time.sleep(0.1)
    raise AssertionError("The S3 server did not come up.")


@pytest.fixture
def keys(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator gives them. Each search looks for a newer version."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setattr(index_module, "REMOTE_FRESH_S", 0.0)


@pytest.mark.usefixtures("keys")
def test_what_one_node_puts_another_one_finds() -> None:
    about_water("s3://courses/one")
    other = KnowledgeIndex("s3://courses/one")
    assert other.bases() == ["water"]
    assert texts(ask(other, "water", "Why does ice float?"))[0] == WATER[1]
    assert texts(ask(other, "water", "水什么时候沸腾"))[0].startswith("在海平面上")


@pytest.mark.usefixtures("keys")
def test_a_document_is_replaced_and_a_base_removed_for_every_node() -> None:
    index, other = about_water("s3://courses/two"), KnowledgeIndex("s3://courses/two")
    assert ask(other, "water", "clouds")
    index.put("water", document("water.md"), passages(["A saxophone."]))
    assert texts(ask(other, "water", "saxophone")) == ["A saxophone."]
    index.remove("water")
    assert other.bases() == []


@pytest.mark.usefixtures("keys")
def test_nodes_that_write_at_once_lose_nothing() -> None:
    KnowledgeIndex("s3://courses/three").create("shared")

    def put(node: int) -> None:
        index = KnowledgeIndex("s3://courses/three")
        for number in range(4):
            index.put("shared", document(f"{node}-{number}.md"), passages([f"node{node} {number}"]))

    nodes = [threading.Thread(target=put, args=(node,)) for node in range(3)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()
    names = {each.name for each in KnowledgeIndex("s3://courses/three").documents("shared")}
    assert names == {f"{node}-{number}.md" for node in range(3) for number in range(4)}


@pytest.mark.usefixtures("keys")
def test_a_bucket_that_is_not_there_is_told() -> None:
    with pytest.raises(EngineUnavailable, match="Check KNOWLEDGE_URI"):
        KnowledgeIndex("s3://nowhere/one").create("water")


@pytest.mark.usefixtures("keys")
def test_the_sample_course_is_put_once_by_whichever_machine(tmp_path: Path) -> None:
    uri = "s3://courses/sample"
    put_sample(FOLDER, uri, tmp_path / "one")
    assert len(Spool(tmp_path / "one").jobs("weather")) == 4
    put_sample(FOLDER, uri, tmp_path / "two")
    Shelf(uri).remove("weather")
    put_sample(FOLDER, uri, tmp_path / "three")
    assert (
        Spool(tmp_path / "two").jobs("weather") == Spool(tmp_path / "three").jobs("weather") == []
    )
    assert Shelf(uri).bases() == []
