"""`transformers serve`: an OpenAI-compatible server that others have made, with the tiny model of
the tests."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.running import free_port

MODEL = "tiny/tutor"
"""As the server lists it."""

START_LIMIT_S = 120.0


@contextmanager
def transformers_server(home: Path, model: Path) -> Iterator[str]:
    """Serves the model of this folder; gives its OPENAI_BASE_URL, without `/v1`. `home` becomes a
    cache as the hub's client makes it, which is where the server looks for its models."""
    _as_downloaded(home, model)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        env={**os.environ, "HF_HUB_CACHE": str(home), "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def _as_downloaded(cache: Path, model: Path) -> None:
    place = cache / f"models--{MODEL.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0")
    shutil.copytree(model, place / "snapshots" / "0")


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass  # not yet
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError("`transformers serve` did not start; see what it printed.")
        time.sleep(0.1)
