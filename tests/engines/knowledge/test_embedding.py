"""Texts to vectors: by real servers of the two APIs, and by a small model in this process."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import BertProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from engines.errors import EngineError, EngineTimeout, EngineUnavailable
from engines.knowledge import embedding
from engines.knowledge.base import Vectors
from engines.knowledge.embedding import (
    BATCH_TEXTS,
    CHECK_AGAIN_S,
    MAX_ANSWER_BYTES,
    BestEmbedder,
    OllamaEmbedder,
    OpenAiEmbedder,
    TransformersEmbedder,
)
from engines.knowledge.embedding_progress import Stepwise
from tests.running import free_port


def lengths(texts: Sequence[str]) -> list[list[float]]:
    """A direction for each length of a text."""
    return [[3.0, float(len(text)), 0.0] for text in texts]


def ollama_answer(texts: list[str]) -> Any:
    return {"model": "bge-m3", "embeddings": lengths(texts)}


def openai_answer(texts: list[str]) -> Any:
    """In an order of its own, as the API allows."""
    rows = [{"index": i, "embedding": row} for i, row in enumerate(lengths(texts))]
    return {"object": "list", "data": rows[::-1]}


@dataclass
class Server:
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[list[str]], Any], status: int = 200) -> Iterator[Server]:
    """A server that answers so; what `answer` gives as bytes is sent as it is."""
    seen = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.asked.append(asked)
            seen.keys.append(self.headers.get("Authorization", ""))
            seen.paths.append(self.path)
            told = answer(asked["input"])
            body = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def known_servers() -> Iterator[list[tuple[Server, OllamaEmbedder | OpenAiEmbedder]]]:
    with serving(ollama_answer) as ollama, serving(openai_answer) as openai:
        yield [
            (ollama, OllamaEmbedder(ollama.url, "bge-m3")),
            (openai, OpenAiEmbedder(f"{openai.url}/v1", "secret", "bge-m3")),
        ]


async def test_servers_give_a_vector_of_length_one_for_each_text_in_order() -> None:
    texts = ["x" * length for length in range(1, 2 * BATCH_TEXTS + 5)]
    expected = np.array(lengths(texts), np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    with known_servers() as servers:
        for server, embedder in servers:
            vectors = await embedder.embed(texts)
            await embedder.close()
            assert vectors.dtype == np.float32
            np.testing.assert_allclose(vectors, expected, rtol=1e-5)
            assert [len(asked["input"]) for asked in server.asked] == [BATCH_TEXTS, BATCH_TEXTS, 4]
            assert {asked["model"] for asked in server.asked} == {"bge-m3"}


async def test_servers_are_asked_as_they_expect() -> None:
    with known_servers() as [(ollama, one), (openai, other)]:
        for embedder in (one, other):
            await embedder.embed(["?"])
            await embedder.close()
    assert (ollama.paths, ollama.keys) == (["/api/embed"], [""])
    assert (openai.paths, openai.keys) == (["/v1/embeddings"], ["Bearer secret"])
    assert one.name != other.name


async def test_no_texts_no_vectors() -> None:
    embedder = OllamaEmbedder("http://127.0.0.1:9", "bge-m3")
    assert len(await embedder.embed([])) == 0
    await embedder.close()


@pytest.mark.parametrize(
    "told",
    [
        b"<html>",
        {"error": "no"},
        {"embeddings": [[1.0, 2.0]]},
        {"embeddings": [[1.0], [1.0, 2.0]]},
        {"embeddings": [["a"], ["b"]]},
        {"embeddings": [1.0, 2.0]},
        b'{"embeddings": [[NaN], [1.0]]}',
        b'{"embeddings": [[1e999], [1.0]]}',
        b'{"embeddings": [[1' + 400 * b"0" + b"], [1.0]]}",
        b'{"embeddings": ' + 100_000 * b"[" + 100_000 * b"]" + b"}",
        b'{"embeddings": "' + MAX_ANSWER_BYTES * b"x" + b'"}',
        [],
    ],
)
async def test_what_is_no_vectors_is_told(told: Any) -> None:
    with serving(lambda texts: told) as server:
        embedder = OllamaEmbedder(server.url, "bge-m3")
        with pytest.raises(EngineError, match=r"gives no vectors\. Start Ollama"):
            await embedder.embed(["one", "two"])
        await embedder.close()


async def test_vectors_of_different_lengths_are_told() -> None:
    """Each batch is right by itself."""
    with serving(lambda texts: {"embeddings": [[1.0] * len(texts)] * len(texts)}) as server:
        model = OllamaEmbedder(server.url, "bge-m3")
        for embedder in (model, Stepwise(model)):
            with pytest.raises(EngineError, match="Choose another EMBEDDING_MODEL"):
                await embedder.embed(["one"] * (BATCH_TEXTS + 1))
        await model.close()


async def test_empty_vectors_are_told() -> None:
    with serving(lambda texts: {"embeddings": [[]] * len(texts)}) as server:
        embedder = OllamaEmbedder(server.url, "bge-m3")
        with pytest.raises(EngineError, match="Choose another EMBEDDING_MODEL"):
            await embedder.embed(["one"])
        await embedder.close()


async def test_a_redirection_is_not_followed() -> None:
    with serving(lambda texts: b"", 307) as server:
        embedder = OllamaEmbedder(server.url, "bge-m3")
        with pytest.raises(EngineUnavailable, match=r"refused \(307"):
            await embedder.embed(["one"])
        await embedder.close()


async def test_a_refusal_tells_why_and_what_to_do() -> None:
    with serving(lambda texts: {"error": "model not found"}, 404) as server:
        embedder = OllamaEmbedder(server.url, "bge-m3")
        with pytest.raises(EngineUnavailable, match=r"404: .*not found.*ollama pull bge-m3"):
            await embedder.embed(["one"])
        await embedder.close()


async def test_a_server_that_is_not_there_is_told() -> None:
    embedder = OpenAiEmbedder(f"http://user:hidden@127.0.0.1:{free_port()}/v1", "", "m")
    with pytest.raises(EngineUnavailable, match="No embedding model answers") as told:
        await embedder.embed(["one"])
    assert "hidden" not in told.value.sentence
    await embedder.close()


async def test_a_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "BATCH_LIMIT_S", 0.05)
    stand = threading.Event()
    with serving(lambda texts: stand.wait() and ollama_answer(texts)) as server:
        embedder = OllamaEmbedder(server.url, "bge-m3")
        with pytest.raises(EngineTimeout, match="did not answer in time"):
            await embedder.embed(["one"])
        await embedder.close()
        stand.set()


# A model in this process


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with all its layers, few channels and random weights."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "water", "ice", "boils", "floats"]
    bare = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    bare.pre_tokenizer = Whitespace()
    bare.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # The library leaves its own without types.
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="[PAD]")  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    return folder


TEXTS = ["water", "ice floats", "water boils water boils water"]


def plainly(folder: Path, text: str, *, first: bool) -> Vectors:
    """One text alone, so that nothing is filled up."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = BertModel.from_pretrained(folder)
    model.eval()  # type: ignore[no-untyped-call]  # the library leaves it so
    with torch.inference_mode():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    pooled = states[0] if first else states.mean(0)
    vector: Vectors = (pooled / pooled.norm()).numpy()
    return vector


@pytest.mark.parametrize("first", [False, True])
async def test_a_model_s_folder_is_pooled_as_it_says(folder: Path, first: bool) -> None:
    told = folder / "1_Pooling" / "config.json"
    told.parent.mkdir(exist_ok=True)
    told.write_text(json.dumps({"pooling_mode_cls_token": first}))
    embedder = TransformersEmbedder(folder)
    vectors = await embedder.embed(TEXTS)
    await embedder.close()
    expected = [plainly(folder, text, first=first) for text in TEXTS]
    np.testing.assert_allclose(vectors, np.stack(expected), atol=1e-5)


async def test_a_long_text_is_cut(folder: Path) -> None:
    embedder = TransformersEmbedder(folder)
    vectors = await embedder.embed(["water " * 2000])
    assert vectors.shape == (1, 16)


async def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="holds no embedding model"):
        await TransformersEmbedder(tmp_path).embed(["water"])


# The best that is there


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_the_first_that_works_is_taken(folder: Path) -> None:
    missing = OllamaEmbedder(f"http://127.0.0.1:{free_port()}", "bge-m3")
    there = TransformersEmbedder(folder)
    best = BestEmbedder([missing, there])
    assert best.known is None
    assert await best.current() is best.known is there
    assert best.problem == ""
    await best.close()


async def test_without_any_the_first_one_s_problem_is_told(tmp_path: Path) -> None:
    missing = OllamaEmbedder(f"http://127.0.0.1:{free_port()}", "bge-m3")
    best = BestEmbedder([missing, TransformersEmbedder(tmp_path)])
    assert await best.current() is None
    assert "Start Ollama" in best.problem
    assert await BestEmbedder([]).current() is None
    await best.close()


async def test_one_that_comes_up_is_found_and_one_that_fails_is_left_for_a_while() -> None:
    clock = Clock()
    with serving(ollama_answer) as server:
        model = OllamaEmbedder(server.url, "bge-m3")
        best = BestEmbedder([model], clock)
        assert await best.current() is model
        best.failed(model, EngineError("It is gone. Start it."))
        assert best.known is None
        assert await best.current() is None
        assert best.problem == "It is gone. Start it."
        clock.now_s = CHECK_AGAIN_S
        assert await best.current() is model
        assert len(server.asked) == 2
        await best.close()


async def test_a_failure_of_another_one_changes_nothing(folder: Path) -> None:
    model = TransformersEmbedder(folder)
    best = BestEmbedder([model])
    await best.current()
    best.failed(TransformersEmbedder(folder), EngineError("Of before."))
    assert best.known is model


async def test_one_that_loads_for_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "CHECK_LIMIT_S", 0.05)
    stand = threading.Event()
    with serving(lambda texts: stand.wait() and ollama_answer(texts)) as server:
        best = BestEmbedder([OllamaEmbedder(server.url, "bge-m3")])
        assert await best.current() is None
        assert "still being loaded" in best.problem
        stand.set()
        await best.close()


async def test_a_model_in_this_process_that_fails_is_told(folder: Path) -> None:
    embedder = TransformersEmbedder(folder)
    await embedder.embed(["water"])

    def no_memory(texts: list[str]) -> Vectors:
        raise RuntimeError("CUDA out of memory")

    embedder._embed = no_memory
    with pytest.raises(EngineUnavailable, match="out of memory. Choose a smaller"):
        await embedder.embed(["water"])
