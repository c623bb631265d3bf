"""A graph without a voice and without ears: named, never an unexplained failure."""

from pathlib import Path
from typing import Any

import pytest

from tests.media import wav
from tests.running import base64_of, free_port, graph, serve_run

pytestmark = pytest.mark.cluster


def without_voice_and_ears(config: dict[str, Any]) -> None:
    config["applications"] = [
        app for app in config["applications"] if app["name"] not in ("tts", "asr")
    ]


async def test_what_is_missing_is_named_and_the_rest_works(tmp_path: Path) -> None:
    environ = {"BACKEND_WAIT_SECONDS": "1"}
    with serve_run(tmp_path, graph(free_port(), without_voice_and_ears), environ) as engine:
        async with engine.http() as http:
            stages = (await http.get("/health")).json()["engines"]
        for stage in ("tts", "asr"):
            assert stages[stage]["state"] == "unavailable"
            assert "serve.yaml" in stages[stage]["remedy"]
        async with engine.conversation() as (_, talk):
            error = await talk.ask(type="text", content="Hello")
            assert (error["type"], error["code"]) == ("error", "engine_unavailable")
            assert "'tts'" in error["content"]
            text = await talk.receive()
            assert (text["type"], "audio" in text) == ("text", False)
            assert text["content"]
            error = await talk.ask(type="audio", data=base64_of(wav()))
            assert error["code"] == "engine_unavailable"
            assert "'asr'" in error["content"]
