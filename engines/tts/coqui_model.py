"""Coqui's models as they run: blocking, one step after another, used by one thread at a time.

A step of XTTS is a few tokens of its decoder made into sound; VITS reads a part of a sentence in
one step. A step that nobody wants any more stops at the next layer of the network.
"""

import gc
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engines.base import HEARING_RATE_HZ
from engines.errors import EngineError, EngineUnavailable

logger = logging.getLogger(__name__)

Sound = npt.NDArray[np.float32]

XTTS_TOKENS = {"cuda": 4, "cpu": 20}
"""Tokens of 46 ms in one step. XTTS makes sound of the whole part anew in each step, so short ones
cost more; a GPU has that to spare for an early first piece, a CPU has not."""

XTTS_CHARACTERS = 200
"""In one part, of the languages for which XTTS names no limit."""

VITS_CHARACTERS = 80
"""In one part: some five seconds of speech, made in one step."""

TIMBRES = 64
"""Cloned voices whose latents are kept: 130 kB each."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is read."""

    language: str | None
    """ISO 639-1; None: the model does not say which one it speaks."""
    speaker: str | None
    """One of the model's own; None: it has only one, or a cloned one speaks."""
    reference: bytes
    """Of a cloned voice, as in `Voice`; else empty."""
    rate: float


class CoquiModel(Protocol):
    """Read."""

    kind: str
    rate_hz: int
    languages: frozenset[str]
    """ISO 639-1; empty: unknown."""
    speakers: tuple[str, ...]
    clones: bool
    brake: "Brake"

    def characters(self, language: str | None) -> int:
        """The longest text that can be read as one part."""
        ...

    def read(self, text: str, manner: Manner) -> Generator[Sound, None, None]:
        """The voice of one part, a piece for each step; full scale is 1."""
        ...


class Stopped(Exception):
    """Nobody wants this step's sound any more."""


class Brake:
    """Stops a network between two of its layers."""

    def __init__(self, network: Any) -> None:
        from torch import nn

        self._unwanted = threading.Event()
        for module in network.modules():
            if isinstance(module, nn.ModuleList):
                for layer in module:
                    layer.register_forward_pre_hook(self._look)

    @contextmanager
    def stopping(self, unwanted: threading.Event) -> Iterator[None]:
        """Inside, `Stopped` is raised soon after `unwanted` has been set."""
        self._unwanted = unwanted
        self._look()
        yield

    def _look(self, *_: object) -> None:
        if self._unwanted.is_set():
            raise Stopped


class Reading:
    """One part as it is read. `stop` may be called from any thread, the rest from the worker's."""

    def __init__(self, model: CoquiModel, text: str, manner: Manner) -> None:
        self._model = model
        self._steps = model.read(text, manner)
        self._unwanted = threading.Event()

    def step(self) -> Sound | None:
        """The next piece; None at the end, or when it was stopped. Raises `EngineError`, after all
        memory of this part has been given back."""
        try:
            with self._model.brake.stopping(self._unwanted):
                return next(self._steps, None)
        except Stopped:
            return None
        except EngineError:
            raise
        except Exception as error:
            failure = _failure(error, self._model.kind)
        # Here, because the exception held on to the step's tensors.
        self.close()
        free_memory()
        raise failure

    def stop(self) -> None:
        self._unwanted.set()

    def close(self) -> None:
        self._steps.close()


class XttsModel:
    """Streams, and speaks with the voice of any recording."""

    kind = "XTTS"
    clones = True

    def __init__(self, network: Any, config: Any, languages: frozenset[str]) -> None:
        self._network = network
        self._config = config
        self.rate_hz: int = config.model_args.output_sample_rate
        self.languages = languages
        own = network.speaker_manager
        self._own: dict[str, dict[str, Any]] = own.speakers if own else {}
        self.speakers = tuple(self._own)
        self.brake = Brake(network)
        self._cloned: OrderedDict[bytes, tuple[Any, Any]] = OrderedDict()

    def characters(self, language: str | None) -> int:
        known: dict[str, int] = self._network.tokenizer.char_limits
        return known.get(language or "", XTTS_CHARACTERS)

    def read(self, text: str, manner: Manner) -> Generator[Sound, None, None]:
        latents, embedding = self._timbre(manner)
        config = self._config
        chunks = self._network.inference_stream(
            text,
            manner.language,
            latents,
            embedding,
            stream_chunk_size=XTTS_TOKENS[self._network.device.type],
            temperature=config.temperature,
            length_penalty=config.length_penalty,
            repetition_penalty=config.repetition_penalty,
            top_k=config.top_k,
            top_p=config.top_p,
            speed=manner.rate,
        )
        # The network keeps the text's beginning in itself, and other readings have steps between.
        decoder, prefix = self._network.gpt.gpt_inference, None
        try:
            while True:
                decoder.cached_prefix_emb = prefix
                chunk = next(chunks, None)
                prefix = decoder.cached_prefix_emb
                if chunk is None:
                    return
                yield chunk.float().cpu().numpy()
        finally:
            chunks.close()

    def _timbre(self, manner: Manner) -> tuple[Any, Any]:
        if not manner.reference:
            own = self._own[manner.speaker or self.speakers[0]]
            return own["gpt_cond_latent"], own["speaker_embedding"]
        digest = hashlib.sha256(manner.reference).digest()
        timbre = self._cloned.pop(digest, None) or self._clone(manner.reference)
        self._cloned[digest] = timbre
        if len(self._cloned) > TIMBRES:
            self._cloned.popitem(last=False)
        return timbre

    def _clone(self, reference: bytes) -> tuple[Any, Any]:
        import torch

        samples = np.frombuffer(reference, "<i2").astype(np.float32) / 32768
        sound = torch.from_numpy(samples)[None, : HEARING_RATE_HZ * self._config.max_ref_len]
        latents = self._network.get_gpt_cond_latents(
            sound,
            HEARING_RATE_HZ,
            length=self._config.gpt_cond_len,
            chunk_length=self._config.gpt_cond_chunk_len,
        )
        return latents, self._network.get_speaker_embedding(sound, HEARING_RATE_HZ)


class VitsModel:
    """Quick on a CPU; speaks with its own voices only."""

    kind = "VITS"
    clones = False

    def __init__(self, network: Any, config: Any, language_names: dict[str, str]) -> None:
        """`language_names`: ISO 639-1 → what the model calls it."""
        self._network = network
        self.rate_hz: int = config.audio.sample_rate
        self.languages = frozenset(language_names)
        self._language_names = language_names
        own = network.speaker_manager
        self.speakers = tuple(own.name_to_id) if own else ()
        self.brake = Brake(network)
        self._natural_scale = float(network.length_scale)

    def characters(self, language: str | None) -> int:
        return VITS_CHARACTERS

    def read(self, text: str, manner: Manner) -> Generator[Sound, None, None]:
        self._network.length_scale = self._natural_scale / manner.rate
        several = len(self._language_names) > 1
        name = self._language_names.get(manner.language or "") if several else None
        spoken = self._network.synthesize(text, speaker=manner.speaker, language=name)
        yield np.asarray(spoken["wav"], np.float32).reshape(-1)


def free_memory() -> None:
    """Give back what the library keeps in store, so that others on the GPU can use it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _failure(error: Exception, kind: str) -> EngineError:
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        logger.warning("%s ran out of GPU memory: %s", kind, error)
        return EngineUnavailable(
            f"{kind} ran out of GPU memory. Raise `gpu` of the application `tts` in "
            "configs/serve.yaml, or name a smaller model in TTS_MODEL."
        )
    logger.error("%s failed", kind, exc_info=error)
    # After an error of CUDA nothing works any more in this process; others may be the sentence's.
    lost = isinstance(error, torch.AcceleratorError)
    return (EngineUnavailable if lost else EngineError)(
        f"{kind} failed ({first_line(error)}). Try again; the log of the application `tts` says "
        "more."
    )


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
