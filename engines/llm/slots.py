"""The steps of a causal model of transformers, with a cache of slots that grows as it is needed.

Imports PyTorch, which takes seconds, so it is itself imported only where a model is loaded.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from engines.llm.batching import INVALID, OutOfMemory

GROWTH = 512
"""Tokens by which the cache grows: growing copies it, so not for every token."""

WIDTH = 64
"""Attention looks at a multiple of so many tokens: a handful of shapes, and aligned ones."""

CANDIDATES = 256
"""The most tokens that one is drawn from. Sorting the whole vocabulary would take longer than the
model needs on a CPU; what lies beyond is improbable."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn."""

    temperature: float
    """0 takes the most probable."""
    top_p: float = 0.95
    """The improbable rest beyond this share is never drawn."""
    top_k: int = CANDIDATES
    """From the so many most probable."""


class ModelSteps:
    """`Steps` of one model. One thread calls it."""

    def __init__(self, model: PreTrainedModel, sampling: Sampling) -> None:
        self._model = model
        self._sampling = sampling
        self._plan = _Plan()
        count = model.config.get_text_config().num_hidden_layers
        self._layers = [_Layer(self._plan) for _ in range(count)]
        # The layers do what the library's own do, but for rows of their own choice.
        self._cache = Cache(layers=[*self._layers])  # type: ignore[list-item]  # only `update` is called
        self._windows = _windows(model)

    def read(self, slot: int, tokens: Sequence[int], begin: int) -> int:
        return self._step([slot], [list(tokens)], [begin])[0]

    def write(self, slots: Sequence[int], tokens: Sequence[int], at: Sequence[int]) -> list[int]:
        return self._step(slots, [[token] for token in tokens], at)

    def copy(self, source: int, target: int, tokens: int) -> None:
        with _translated(), torch.inference_mode():
            for layer in self._layers:
                layer.copy(source, target, tokens)

    def forget(self, slot: int) -> None:
        with torch.inference_mode():
            for layer in self._layers:
                layer.forget(slot)

    def keep(self, slots: int, tokens: int) -> None:
        with torch.inference_mode():
            for layer in self._layers:
                layer.keep(slots, _multiple(tokens, GROWTH))
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def token_bytes(self) -> int:
        """Memory of one token in the cache; known after the first step."""
        return sum(layer.token_bytes for layer in self._layers)

    def _step(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], begins: Sequence[int]
    ) -> list[int]:
        with _translated(), torch.inference_mode():
            device = self._model.device
            inputs = torch.tensor(tokens, device=device)
            steps = torch.arange(inputs.shape[1], device=device)
            positions = torch.tensor(begins, device=device)[:, None] + steps
            self._plan.set(slots, positions, max(begins) + inputs.shape[1])
            output = self._model(
                input_ids=inputs,
                attention_mask=self._mask(positions),
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return drawn(output.logits[:, -1], self._sampling)

    def _mask(self, positions: Tensor) -> Any:
        """Who sees whom, for each kind of attention of the model."""
        keys = torch.arange(self._plan.length, device=positions.device)
        distance = positions[:, None, :, None] - keys  # [rows, 1, queries, keys]
        masks = {kind: self._seen(distance, window) for kind, window in self._windows.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _seen(self, distance: Tensor, window: int | None) -> Tensor:
        seen = distance >= 0
        if window is not None:
            seen &= distance < window
        if self._model.config._attn_implementation != "eager":
            return seen
        # Plain attention adds its mask.
        least = torch.finfo(self._model.dtype).min
        return torch.where(seen, 0.0, least).to(self._model.dtype)


def drawn(logits: Tensor, sampling: Sampling) -> list[int]:
    """The next token of each row of logits [rows, words]; INVALID where they are no numbers."""
    logits = logits.float()
    valid = logits.amax(-1).isfinite()
    # Drawing from what is no number would end the process on a GPU.
    logits = torch.where(valid[:, None], logits, 0.0)
    if sampling.temperature <= 0:
        tokens = logits.argmax(-1)
    else:
        values, candidates = logits.topk(min(sampling.top_k, CANDIDATES, logits.shape[-1]))
        shares = (values / sampling.temperature).softmax(-1)
        before = shares.cumsum(-1) - shares
        shares = shares.masked_fill(before > sampling.top_p, 0.0)
        tokens = candidates.gather(-1, shares.multinomial(1))[:, 0]
    chosen: list[int] = torch.where(valid, tokens, INVALID).tolist()
    return chosen


class _Plan:
    """Which slots, and where in them, the running step is about."""

    rows: Tensor
    """[rows, 1]"""
    positions: Tensor
    """[rows, tokens]"""
    span: slice | Tensor
    """The rows: as a view where the slots follow one another."""
    slots = 0
    """How many the cache must have."""
    length = 0
    """Tokens that attention looks at."""

    def set(self, slots: Sequence[int], positions: Tensor, longest: int) -> None:
        first, count = slots[0], len(slots)
        rows = torch.tensor(slots, device=positions.device)
        consecutive = list(slots) == list(range(first, first + count))
        self.span = slice(first, first + count) if consecutive else rows
        self.rows, self.positions = rows[:, None], positions
        self.slots = max(slots) + 1
        self.length = _multiple(longest, WIDTH)


class _Layer:
    """Keys and values [slots, heads, tokens, channels] of one layer of the model."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._kept: list[Tensor] = []

    def update(
        self, keys: Tensor, values: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """As the library's layers: take in what is new, and give all that there is."""
        plan = self._plan
        tokens = _multiple(plan.length, GROWTH)
        if not self._kept:
            self._kept = [_room(states, plan.slots, tokens) for states in (keys, values)]
        for index, states in enumerate((keys, values)):
            # One after the other: while it grows there are two of it.
            self._kept[index] = _grown(self._kept[index], plan.slots, tokens)
            self._kept[index][plan.rows, :, plan.positions] = states.transpose(1, 2)
        keys, values = (kept[plan.span, :, : plan.length] for kept in self._kept)
        return keys, values

    def copy(self, source: int, target: int, tokens: int) -> None:
        for index, kept in enumerate(self._kept):
            self._kept[index] = kept = _grown(kept, target + 1, tokens)
            kept[target, :, :tokens] = kept[source, :, :tokens]

    def forget(self, slot: int) -> None:
        for kept in self._kept:
            kept[slot : slot + 1].zero_()

    def keep(self, slots: int, tokens: int) -> None:
        if not slots:
            self._kept = []
        for index, kept in enumerate(self._kept):
            if kept.shape[0] > slots or kept.shape[2] > tokens:
                with suppress(torch.OutOfMemoryError):  # not even for the smaller one: as it is
                    self._kept[index] = kept[:slots, :, :tokens].clone()

    @property
    def token_bytes(self) -> int:
        return sum(k.shape[1] * k.shape[3] * k.element_size() for k in self._kept)


def _room(states: Tensor, slots: int, tokens: int) -> Tensor:
    # Zeros, since what attention leaves out must still be numbers.
    return states.new_zeros((slots, states.shape[1], tokens, states.shape[3]))


def _grown(kept: Tensor, slots: int, tokens: int) -> Tensor:
    if kept.shape[0] >= slots and kept.shape[2] >= tokens:
        return kept
    larger = _room(kept, max(slots, kept.shape[0]), max(tokens, kept.shape[2]))
    larger[: kept.shape[0], :, : kept.shape[2]] = kept
    return larger


def _windows(model: PreTrainedModel) -> dict[str, int | None]:
    """How far each kind of attention of the model looks back, in tokens.

    Raises `ValueError` for models that remember otherwise than by attention.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds:
        return {"all": window}
    if strange := kinds - {"full_attention", "sliding_attention"}:
        raise ValueError(f"its layers of the kind {min(strange)} are not supported")
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds)}


def _multiple(tokens: int, step: int) -> int:
    return -(-tokens // step) * step


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # so says PyTorch on a CPU
            raise OutOfMemory from error
        raise
