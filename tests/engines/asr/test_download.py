"""Where models are found, and a small hub, spoken to by the real library."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from engines.asr import download
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.errors import EngineUnavailable
from tests.running import PROJECT

CPU = WhisperOptions(device="cpu")


@pytest.mark.parametrize("file", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_a_missing_file_is_named(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(EngineUnavailable, match=f"lacks {file}") as refusal:
        WhisperAsr.load(str(copy))
    assert str(copy) in refusal.value.sentence


@pytest.mark.parametrize("model", ["./no/such/folder", "/no/such/folder", "~/no/such/folder"])
def test_a_folder_that_is_not_there_is_named(model: str) -> None:
    with pytest.raises(EngineUnavailable, match=f"folder `{model}` does not exist"):
        WhisperAsr.load(model)


def test_a_file_is_no_folder(copy: Path) -> None:
    with pytest.raises(EngineUnavailable, match="is no folder"):
        WhisperAsr.load(str(copy / "model.bin"))


def test_a_name_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(EngineUnavailable, match="no speech model named `smal`.* small,"):
        WhisperAsr.load("smal")


def test_a_name_that_cannot_be_downloaded_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="`tiny` could not be downloaded .*go online"):
        WhisperAsr.load("tiny")


class Hub(BaseHTTPRequestHandler):
    """One repository, as the hub's API tells of it."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._file(self.path.rsplit("/", 1)[-1])

    def do_GET(self) -> None:
        self.asked.append(self.path)
        names = sorted(file.name for file in self.folder.iterdir())
        if "/resolve/" in self.path:
            self._file(self.path.rsplit("/", 1)[-1], with_content=True)
        elif "/tree/" in self.path:
            self._json([self._entry(name) for name in names])
        else:
            files = [{"rfilename": name} for name in names]
            self._json({"id": "owner/name", "sha": COMMIT, "siblings": files})

    def log_message(self, *_: Any) -> None:
        """In silence."""

    def _entry(self, name: str) -> dict[str, Any]:
        size = (self.folder / name).stat().st_size
        return {"type": "file", "path": name, "size": size, "oid": name}

    def _json(self, found: Any) -> None:
        self._answer(json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, with_content: bool = False) -> None:
        content = (self.folder / name).read_bytes()
        marks = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT, "Content-Type": "binary/octet"}
        self._answer(content, marks, with_content)

    def _answer(self, body: bytes, headers: dict[str, str], with_content: bool = True) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_content:
            self.wfile.write(body)


COMMIT = "0123456789" * 4


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address, and what is asked of it."""
    asked: list[str] = []
    handler = type("OneModel", (Hub,), {"folder": folder, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def found(address: str, cache: Path) -> list[str]:
    """What is told about looking for the model `tiny`, and its folder, in a process of its own: the
    library reads the hub's address but once."""
    look = "from engines.asr.download import find_folder as f; print(f('tiny', print))"
    environ = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=PROJECT, env=environ, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode().splitlines()


def test_a_name_is_downloaded_once_with_every_file_and_tells_how_far_it_is(
    copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (copy / "pytorch_model.bin").write_bytes(b"not needed")
    cache = tmp_path_factory.mktemp("cache")
    with hub(copy) as (address, asked):
        *told, folder = found(address, cache)
        files = [path for path in asked if "/resolve/" in path]  # the library asks other things too
        assert files
        assert all("/Systran/faster-whisper-tiny" in path for path in files)
        assert not any("pytorch_model" in path for path in asked)
        assert re.fullmatch(r"downloading: (\d+) of \1 MB", told[-1])
        assert WhisperAsr.load(folder, CPU).state.state == "ready"
        asked.clear()
        assert found(address, cache) == [folder]
        assert not asked


def test_how_far_it_is_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told: list[str] = []
    progress = download.Progress(told.append)
    for done in range(0, 75_000_001, 500_000):
        progress.at(done, 75_000_000)
    assert len(told) == 151
    assert [record.message for record in caplog.records][-1] == "downloading: 75 of 75 MB"
    assert len(caplog.records) == 10
