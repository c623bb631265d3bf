"""The deployments' own classes behind Serve's handles, in Serve's local testing mode."""

import asyncio
from collections.abc import Generator, Iterator
from contextlib import aclosing
from typing import Any, cast

import numpy as np
import pytest
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments import asr, llm, tts
from deployments.backend import Backend
from deployments.controller import Controller
from deployments.remote import RemoteAsr, RemoteLlm, RemoteTts
from engines.base import Audio, Message, Voice
from engines.errors import EngineUnavailable, UnknownVoice
from engines.stub import StubAsr, StubLlm


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """A backend whose application is whatever the test deploys."""
    yield Backend("local", 0.5, Controller())


def deploy(backend: Backend, application: serve.Application) -> None:
    backend._handle = serve.run(application, name="local", _local_testing_mode=True)


async def test_a_recogniser_behind_its_handle(backend: Backend) -> None:
    args = asr.AsrArgs(engine="stub", stub=StubAsr(text="good morning"))
    deploy(backend, asr.build(args))
    speech = Audio(np.zeros(1600, np.int16), 16_000)
    assert (await RemoteAsr(backend).transcribe(speech, "en")).text == "good morning"


async def test_a_model_behind_its_handle_streams(backend: Backend) -> None:
    deploy(backend, llm.build(llm.LlmArgs(engine="stub", stub=StubLlm(("a ", "b ", "c")))))
    replying = RemoteLlm(backend).reply([Message("user", "x")])
    assert [token async for token in replying] == ["a ", "b ", "c"]


async def test_the_embedded_voice_behind_its_handle(backend: Backend) -> None:
    deploy(backend, tts.build(tts.TtsArgs()))
    voice = RemoteTts(backend)
    pieces = [piece async for piece in voice.speak("Hello there, how are you?", Voice())]
    assert sum(piece.seconds for piece in pieces) > 0.8
    assert any(piece.phonemes for piece in pieces)
    with pytest.raises(UnknownVoice):
        async with aclosing(voice.speak("Hello", Voice(name="nobody"))) as refused:
            await anext(refused)


async def test_a_missing_application_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise serve.exceptions.RayServeException(f"Application '{name}' does not exist.")

    monkeypatch.setattr(serve, "get_app_handle", absent)
    with pytest.raises(EngineUnavailable, match=r"'gone'.*tutor status"):
        await Backend("gone", 0.1, Controller()).call("transcribe")


class Stopped:
    """A call that somebody else has cancelled, as Ray tells of it."""

    def __init__(self) -> None:
        self.let_go = False

    @property
    def transcribe(self) -> "Stopped":
        return self

    def remote(self, *args: object) -> "Stopped":
        return self

    def __await__(self) -> Generator[None, None, None]:
        raise asyncio.CancelledError
        yield

    def cancel(self) -> None:
        self.let_go = True


async def test_a_call_that_was_cancelled_elsewhere_is_a_failure_and_not_our_end(
    backend: Backend,
) -> None:
    handle = Stopped()
    backend._handle = cast(DeploymentHandle[Any], handle)
    speech = Audio(np.zeros(1600, np.int16), 16_000)
    with pytest.raises(EngineUnavailable, match="'local' was stopped"):
        await RemoteAsr(backend).transcribe(speech, "en")
    assert handle.let_go
