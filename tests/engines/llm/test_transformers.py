import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable
from engines.llm.batching import NO_MEMORY
from engines.llm.options import LlmOptions
from engines.llm.tokens import BROKEN
from engines.llm.transformers import Placement, TransformersLlm

torch = pytest.importorskip("torch")
pytest.importorskip("transformers", exc_type=ImportError)

from tests.tiny_llm import ANSWERS, make_tiny_llm  # noqa: E402  # needs what may be missing

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[3]
GREEDY = LlmOptions(temperature=0.0, max_tokens=100)
ON_CPU = Placement(device="cpu")
QUESTIONS = [*ANSWERS, "And what else?", "还有什么？"]

REPEATING = "{% for m in messages %}{{ m['role'] + ' ' + m['content'] }}{% endfor %}"
"""The template for a model that says the last word for ever: it must end with one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llm(tmp_path_factory.mktemp("llm") / "tiny")


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llm") / "repeating"
    return make_tiny_llm(folder, trained=False, template=REPEATING)


@pytest.fixture
async def llm(folder: Path) -> AsyncIterator[TransformersLlm]:
    llm = TransformersLlm.load(str(folder), GREEDY, ON_CPU)
    yield llm
    await llm.close()


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The model once more, to be damaged."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def asked(question: str) -> list[Message]:
    return [Message("user", question)]


async def answer(llm: TransformersLlm, messages: Sequence[Message]) -> str:
    return "".join([piece async for piece in llm.reply(messages)])


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "llm-batching"]


@pytest.mark.parametrize(("question", "words"), ANSWERS.items())
async def test_an_answer_comes_in_pieces_of_whole_characters(
    llm: TransformersLlm, question: str, words: str
) -> None:
    pieces = [piece async for piece in llm.reply(asked(question))]
    assert "".join(pieces) == words
    assert len(pieces) > 5
    assert not any(BROKEN in piece for piece in pieces)


async def test_eight_at_once_get_what_each_gets_alone(llm: TransformersLlm) -> None:
    alone = [await answer(llm, asked(question)) for question in QUESTIONS]
    together = await asyncio.gather(*(answer(llm, asked(question)) for question in QUESTIONS))
    assert together == alone
    assert alone[: len(ANSWERS)] == list(ANSWERS.values())


async def test_more_than_its_sessions_wait_and_are_answered(folder: Path) -> None:
    llm = TransformersLlm.load(str(folder), GREEDY, Placement(device="cpu", sessions=2))
    answers = await asyncio.gather(*(answer(llm, asked(question)) for question in ANSWERS))
    assert answers == list(ANSWERS.values())
    await llm.close()


async def test_who_closes_the_stream_makes_place_at_once(repeating: Path) -> None:
    options = LlmOptions(temperature=0.0, max_tokens=2000)
    llm = TransformersLlm.load(str(repeating), options, Placement(device="cpu", sessions=1))
    async with aclosing(llm.reply(asked("for ever"))) as endless:
        first = await anext(endless)
        assert first.strip()
    began_s = time.monotonic()
    async with aclosing(llm.reply(asked("and again"))) as pieces:
        await anext(pieces)
    assert time.monotonic() - began_s < 1.0  # the first would have taken several
    await llm.close()


async def test_a_cancelled_task_leaves_at_once_and_harms_nobody(llm: TransformersLlm) -> None:
    tasks = [asyncio.create_task(answer(llm, asked(question))) for question in ANSWERS]
    await asyncio.sleep(0.01)
    for task in tasks[1:]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == next(iter(ANSWERS.values()))
    assert all(isinstance(result, asyncio.CancelledError) for result in results[1:])
    assert await answer(llm, asked("你好")) == ANSWERS["你好"]


async def test_the_event_loop_goes_on_meanwhile(repeating: Path) -> None:
    llm = TransformersLlm.load(str(repeating), LlmOptions(max_tokens=400), ON_CPU)
    answering = asyncio.gather(*(answer(llm, asked("on and on " * 50)) for _ in range(8)))
    slowest = 0.0
    while not answering.done():
        begin = time.monotonic()
        await asyncio.sleep(0.005)
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 0.5
    await llm.close()


async def test_an_answer_is_as_long_as_the_options_say_and_ends_at_their_words(
    repeating: Path,
) -> None:
    llm = TransformersLlm.load(str(repeating), LlmOptions(0.0, max_tokens=7), ON_CPU)
    assert len((await answer(llm, asked("a to"))).split()) <= 7
    await llm.close()
    stopping = LlmOptions(0.0, stop=("to to to",))
    llm = TransformersLlm.load(str(repeating), stopping, ON_CPU)
    assert "to to" not in (await answer(llm, asked("a to"))).strip()
    await llm.close()


async def test_with_temperature_answers_differ(repeating: Path) -> None:
    options = LlmOptions(temperature=2.0, max_tokens=20)
    llm = TransformersLlm.load(str(repeating), options, ON_CPU)
    answers = {await answer(llm, asked("Tell me something.")) for _ in range(4)}
    assert len(answers) > 1
    await llm.close()


async def test_a_model_that_writes_no_characters_says_nothing(repeating: Path) -> None:
    llm = TransformersLlm.load(str(repeating), LlmOptions(0.0, max_tokens=30), ON_CPU)
    assert await answer(llm, asked("水")) == ""
    await llm.close()


# ── failing ───────────────────────────────────────────────────────────────────────────────────


async def test_without_memory_the_newest_is_told_and_the_others_go_on(
    llm: TransformersLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen2ForCausalLM

    forward = Qwen2ForCausalLM.forward

    def narrow(self: object, input_ids: Any, **rest: Any) -> object:
        if input_ids.shape[0] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", narrow)
    replies = [answer(llm, asked(question)) for question in list(ANSWERS)[:4]]
    results = await asyncio.gather(*replies, return_exceptions=True)
    failed = [result for result in results if isinstance(result, EngineError)]
    assert [failure.sentence for failure in failed] == [NO_MEMORY]
    assert sum(result in ANSWERS.values() for result in results) == 3
    monkeypatch.undo()
    assert await answer(llm, asked("你好")) == ANSWERS["你好"]


async def test_closed_it_answers_nobody(llm: TransformersLlm) -> None:
    asking = asyncio.create_task(answer(llm, asked("Who are you?")))
    await asyncio.sleep(0)
    await llm.close()
    with pytest.raises(EngineError, match="has been closed"):
        await answer(llm, asked("Who are you?"))
    with pytest.raises(EngineError, match="has been closed"):
        await asking
    assert not writers()


async def test_forgotten_it_ends_its_thread(folder: Path) -> None:
    llm = TransformersLlm.load(str(folder), GREEDY, ON_CPU)
    stream: AsyncGenerator[str, None] = llm.reply(asked("你好"))
    await anext(stream)
    (writer,) = writers()
    await stream.aclose()
    del llm, stream
    gc.collect()
    await asyncio.to_thread(writer.join, 10)
    assert not writer.is_alive()


def test_a_process_can_end_while_it_writes(repeating: Path) -> None:
    script = f"""
import asyncio
from engines.base import Message
from engines.llm.transformers import TransformersLlm
llm = TransformersLlm.load({str(repeating)!r})
stream = llm.reply([Message("user", "for ever")])
async def begin(): await anext(stream)
loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
"""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr


# ── loading ───────────────────────────────────────────────────────────────────────────────────


async def test_the_state_tells_model_device_and_format(llm: TransformersLlm) -> None:
    state = await llm.state()
    assert (state.engine, state.state) == ("transformers", "ready")
    assert state.reason == "Answers with tiny on cpu in float32."


async def test_a_format_can_be_chosen(folder: Path) -> None:
    llm = TransformersLlm.load(str(folder), GREEDY, Placement(device="cpu", dtype="bfloat16"))
    assert (await llm.state()).reason == "Answers with tiny on cpu in bfloat16."
    assert await answer(llm, asked("What is water?"))
    await llm.close()


@pytest.mark.parametrize("placement", [Placement(dtype="float17"), Placement(device="abacus")])
def test_a_place_that_does_not_exist_is_an_engine_error(folder: Path, placement: Placement) -> None:
    with pytest.raises(EngineUnavailable, match="could not be loaded"):
        TransformersLlm.load(str(folder), GREEDY, placement)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_an_engine_error(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(EngineUnavailable, match="could not be loaded.*TRANSFORMERS_MODEL"):
        TransformersLlm.load(str(copy), GREEDY, ON_CPU)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_an_engine_error(copy: Path, file: str, content: bytes) -> None:
    (copy / file).write_bytes(content)
    with pytest.raises(EngineUnavailable, match="could not be loaded.*TRANSFORMERS_MODEL"):
        TransformersLlm.load(str(copy), GREEDY, ON_CPU)
    assert not writers()


@pytest.mark.parametrize("model", ["./no/such/folder", "/no/such/folder", "~/no/such", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(model: str) -> None:
    with pytest.raises(EngineUnavailable, match=f"folder `{model}` does not exist"):
        TransformersLlm.load(model)


def test_a_name_that_cannot_be_downloaded_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="`own/er` could not be downloaded .*go online"):
        TransformersLlm.load("own/er")


async def test_a_name_is_downloaded_once_with_every_file_that_is_needed(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    wanted: list[str] = []

    def snapshot(repository: str, *, allow_patterns: list[str]) -> str:
        wanted.extend([repository, *allow_patterns])
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    llm = TransformersLlm.load("owner/name", GREEDY, ON_CPU)
    assert {"owner/name", "*.safetensors", "*.json", "*.jinja"} <= set(wanted)
    assert (await llm.state()).reason.startswith("Answers with name ")
    await llm.close()


def test_a_model_that_fails_at_once_is_refused_when_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    from transformers import Qwen2ForCausalLM

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for this GPU\nat some line")

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", fail)
    with pytest.raises(EngineUnavailable, match=r"no kernel for this GPU"):
        TransformersLlm.load(str(folder), GREEDY, ON_CPU)


@pytest.mark.parametrize("step", ["to", "forward"])
def test_a_model_that_does_not_fit_is_let_go(
    step: str, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    from transformers import Qwen2ForCausalLM

    models: list[weakref.ref[object]] = []

    def fail(self: object, *_: object, **__: object) -> None:
        models.append(weakref.ref(self))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Qwen2ForCausalLM, step, fail)
    with pytest.raises(EngineUnavailable, match="memory.* smaller") as refused:
        TransformersLlm.load(str(folder), GREEDY, ON_CPU)
    # While the refusal is still in hand: whoever keeps it must not keep the model.
    assert [model() for model in models] == [None], refused


def test_a_failure_that_is_not_the_models_own_ends_its_thread_too(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("engines.llm.transformers._affordable", fail)
    with pytest.raises(EngineUnavailable, match="unspecified launch failure"):
        TransformersLlm.load(str(folder), GREEDY, ON_CPU)
    assert not writers()


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, folder: Path, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineUnavailable, match=rf"{package} .*pip install -e \.\[gpu\]"):
        TransformersLlm.load(str(folder))


def test_importing_it_does_not_import_the_library() -> None:
    check = (
        "import sys, engines.llm.transformers;"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
