"""Models that turn texts into vectors, and which of them is used: the best that is there, or none.

Ollama ──► OpenAI-compatible server ──► a model's folder, in this process ──► none: words alone
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np

from engines.errors import EngineError, EngineTimeout, EngineUnavailable
from engines.knowledge.base import Embedder, Vectors
from engines.llm.address import Address

BATCH_TEXTS = 32
"""Passages sent at once: some 8,000 tokens, which a model on a CPU takes seconds for."""

CONNECT_LIMIT_S = 2.0
"""A server on this machine or in this network accepts at once, or it is not there."""

BATCH_LIMIT_S = 120.0
"""For one batch; the first one may wait until the model has been loaded."""

CHECK_AGAIN_S = 10.0
"""A model that comes up is used after this time; a check costs one short text."""

CHECK_LIMIT_S = 20.0
"""In it a small model is loaded."""

SMALLER = "Choose a smaller EMBEDDING_MODEL, or restart the engine."

MAX_TOKENS = 512
"""Of a text that a model in this process reads; what most of them were trained on."""

MAX_TOLD_CHARS = 200

MAX_ANSWER_BYTES = 50_000_000
"""Of one batch; 32 vectors of 8,192 numbers are 6 MB of JSON."""


class EmbeddingModel(Embedder, Protocol):
    name: str
    """Its server or library and its model; vectors of models with other names are not compared."""

    async def close(self) -> None: ...


class _Server:
    """What servers of embedding models have in common."""

    def __init__(self, name: str, url: str, model: str, remedy: str) -> None:
        address = Address.of(url)
        self.name = f"{name} {model}"
        self._url, self._model, self._remedy = address.url, model, remedy
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(BATCH_LIMIT_S, connect=CONNECT_LIMIT_S),
            **address.client_options(),
        )

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises `EngineError`."""
        parts = [await self._batch(list(batch)) for batch in _batches(texts)]
        return _unit(parts)

    async def close(self) -> None:
        await self._client.aclose()

    async def _batch(self, texts: list[str]) -> Vectors:
        try:
            async with asyncio.timeout(BATCH_LIMIT_S):
                answer = await self._answer(texts)
            vectors = await asyncio.to_thread(self._vectors, answer)
        except (TimeoutError, httpx.TimeoutException) as late:
            raise EngineTimeout(
                f"The embedding model at {self._url} did not answer in time. {self._remedy}"
            ) from late
        except httpx.HTTPStatusError as refused:
            told = f"{refused.response.status_code}: {refused}"
            raise EngineUnavailable(
                f"The embedding model at {self._url} refused ({told}). {self._remedy}"
            ) from refused
        except httpx.HTTPError as lost:
            raise EngineUnavailable(
                f"No embedding model answers at {self._url}. {self._remedy}"
            ) from lost
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as foreign:
            raise self._foreign() from foreign
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise self._foreign()
        return vectors

    async def _answer(self, texts: list[str]) -> bytes:
        """Raises `ValueError` when it is larger than any that could be meant."""
        asked = self._client.stream(
            "POST", self._url, json=self._asked(texts), headers=self._headers()
        )
        body = bytearray()
        async with asked as response:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_ANSWER_BYTES:
                    raise ValueError(len(body))
        _check_status(response, bytes(body))
        return bytes(body)

    def _vectors(self, answer: bytes) -> Vectors:
        return np.asarray(self._told(json.loads(answer)), dtype=np.float32)

    def _foreign(self) -> EngineError:
        return EngineError(f"What answers at {self._url} gives no vectors. {self._remedy}")

    def _asked(self, texts: list[str]) -> Mapping[str, Any]:
        return {"model": self._model, "input": texts}

    def _headers(self) -> dict[str, str]:
        return {}

    def _told(self, answer: Any) -> Any:
        """Shape [n, d], in the order of the texts."""
        raise NotImplementedError


class OllamaEmbedder(_Server):
    def __init__(self, base_url: str, model: str) -> None:
        remedy = (
            f"Start Ollama and run `ollama pull {model}`, or correct OLLAMA_BASE_URL and "
            "EMBEDDING_MODEL."
        )
        super().__init__("ollama", f"{base_url.rstrip('/')}/api/embed", model, remedy)

    def _asked(self, texts: list[str]) -> Mapping[str, Any]:
        return {**super()._asked(texts), "truncate": True, "keep_alive": "30m"}

    def _told(self, answer: Any) -> Any:
        return answer["embeddings"]


class OpenAiEmbedder(_Server):
    """Any server of OpenAI's API: vLLM, llama.cpp, LM Studio, text-embeddings-inference."""

    def __init__(self, base_url: str, api_key: str, model: str) -> None:
        """`base_url` usually ends in /v1."""
        remedy = "Start its server, or correct EMBEDDING_BASE_URL, EMBEDDING_API_KEY and the model."
        super().__init__("openai", f"{base_url.rstrip('/')}/embeddings", model, remedy)
        self._key = api_key

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _told(self, answer: Any) -> Any:
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        return [row["embedding"] for row in rows]


class TransformersEmbedder:
    """The folder of a sentence-transformers model, run in this process by plain `transformers`."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.name = f"transformers {folder.name}"
        self._folder = folder
        self._device = device
        self._loading = asyncio.Lock()
        self._embed: Callable[[list[str]], Vectors] | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises `EngineUnavailable`. The model is loaded at the first call."""
        async with self._loading:  # one at a time: they would only wait for the same cores
            if self._embed is None:
                self._embed = await asyncio.to_thread(_loaded, self._folder, self._device)
            embed = self._embed
            try:
                parts = [await asyncio.to_thread(embed, list(batch)) for batch in _batches(texts)]
            except Exception as broken:  # whatever the libraries raise: no memory, a lost GPU
                why = " ".join(str(broken).split())[:MAX_TOLD_CHARS]
                raise EngineUnavailable(f"{self.name} fails: {why}. {SMALLER}") from broken
        return _unit(parts)

    async def close(self) -> None:
        self._embed = None


class BestEmbedder:
    """The first of its models that works; looks again by itself."""

    def __init__(
        self,
        models: Sequence[EmbeddingModel],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = tuple(models)
        self._clock = clock
        self._checking = asyncio.Lock()
        self._check_from_s = float("-inf")
        self._current: EmbeddingModel | None = None
        self.problem = ""
        """Why there is none, and what to do."""

    @property
    def known(self) -> EmbeddingModel | None:
        """The one found last, without looking."""
        return self._current

    async def current(self) -> EmbeddingModel | None:
        """None: there is none now. The first call, and later ones while there is none, may take
        `CHECK_LIMIT_S`, but only one in `CHECK_AGAIN_S`; the others are answered at once."""
        if self._current is None and not self._checking.locked():
            async with self._checking:
                if self._clock() >= self._check_from_s:
                    await self._check()
        return self._current

    def failed(self, model: EmbeddingModel, error: EngineError) -> None:
        """It could not be used; it is looked for anew after a while."""
        if model is self._current:
            self._current, self.problem = None, error.sentence
            self._check_from_s = self._clock() + CHECK_AGAIN_S

    async def close(self) -> None:
        for model in self._models:
            await model.close()

    async def _check(self) -> None:
        problems: list[str] = []
        for model in self._models:
            try:
                async with asyncio.timeout(CHECK_LIMIT_S):
                    await model.embed(["?"])
            except TimeoutError:
                problems.append(f"The embedding model {model.name} is still being loaded.")
            except EngineError as error:
                problems.append(error.sentence)
            else:
                self._current, self.problem = model, ""
                return
        self.problem = problems[0] if problems else ""
        self._check_from_s = self._clock() + CHECK_AGAIN_S


def _check_status(response: httpx.Response, body: bytes) -> None:
    """Raises `httpx.HTTPStatusError` with what the server says; a redirection is none of ours."""
    if response.is_success:
        return
    why = " ".join(body.decode("utf-8", "replace").split())[:MAX_TOLD_CHARS]
    raise httpx.HTTPStatusError(why, request=response.request, response=response)


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[begin : begin + BATCH_TEXTS] for begin in range(0, len(texts), BATCH_TEXTS)]


def joined(parts: Sequence[Vectors]) -> Vectors:
    """The rows of all batches. Raises `EngineError` when they are not of one length."""
    lengths = {part.shape[1] for part in parts}
    if len(lengths) != 1 or 0 in lengths:
        raise EngineError(
            "The embedding model gives vectors of different lengths, or empty ones. Choose another"
            " EMBEDDING_MODEL."
        )
    return np.concatenate(parts)


def _unit(parts: Sequence[Vectors]) -> Vectors:
    """Of length 1 each, in one array. Raises `EngineError`."""
    if not parts:
        return np.empty((0, 0), np.float32)
    vectors = joined(parts)
    if not np.isfinite(vectors).all():
        raise EngineError(
            "The embedding model gives something that is no number. Choose another EMBEDDING_MODEL."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _loaded(folder: Path, device: str) -> Callable[[list[str]], Vectors]:
    """Raises `EngineUnavailable`."""
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as missing:
        raise EngineUnavailable(
            "Models in this process need PyTorch. Run `pip install virtual-tutor[gpu]`."
        ) from missing
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder).to(device).eval()
        takes_first = _takes_first(folder)
    except Exception as broken:  # whatever the libraries raise for a folder
        raise EngineUnavailable(
            f"{folder} holds no embedding model that can be loaded. Put the folder of a "
            "sentence-transformers model there."
        ) from broken

    def embed(texts: list[str]) -> Vectors:
        read = tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(device)
        with torch.inference_mode():
            states = model(**read).last_hidden_state.float()
        if takes_first:
            pooled = states[:, 0]
        else:
            mask = read["attention_mask"].unsqueeze(-1)
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        vectors: Vectors = pooled.cpu().numpy()
        return vectors

    return embed


def _takes_first(folder: Path) -> bool:
    """Whether the first token stands for the whole text, as in BGE; else the mean of all does."""
    told = folder / "1_Pooling" / "config.json"
    if not told.exists():
        return False
    return bool(json.loads(told.read_text()).get("pooling_mode_cls_token"))
