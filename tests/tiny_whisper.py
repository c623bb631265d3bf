"""A Whisper of 32 channels and random weights, in the folder layout that faster-whisper loads.

It says nothing sensible, but loading, features, encoder, beam search and tokeniser are the real
ones. As a script: `python -m tests.tiny_whisper FOLDER`.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.common_spec import (
    Conv1DSpec,
    EmbeddingsSpec,
    LayerNormSpec,
    LinearSpec,
)
from faster_whisper.tokenizer import (
    _LANGUAGE_CODES,
)
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

CHANNELS = 32
HEADS = 2
LAYERS = 1
MELS = 80
HEARD_POSITIONS = 1500  # 30 s at 50 Hz, fixed by the library's features
WRITTEN_POSITIONS = 448  # the longest text of a window
TIMESTAMPS = 1501  # 0.00 to 30.00 in steps of 0.02 s
SIZE = 51_866  # words that large-v3 knows; CTranslate2 counts the languages by it

Weights = npt.NDArray[np.float32]


def make_tiny_whisper(folder: Path, seed: int = 0, multilingual: bool = True) -> Path:
    """Write the model into `folder`, which is made when missing, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(multilingual)
    words = [tokenizer.id_to_token(index) for index in range(tokenizer.get_vocab_size())]
    spec = _spec(np.random.default_rng(seed), len(words))
    spec.register_vocabulary(words)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("<|endoftext|>")]
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{code}|>") for code in _LANGUAGE_CODES]
    spec.config.alignment_heads = [[0, 0]]
    spec.validate()
    spec.optimize()  # stores the weights that two parts share once
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS}))
    return folder


def _tokenizer(multilingual: bool) -> Tokenizer:
    special = list(marks())
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"Ġw{number}" for number in range(SIZE - len(words) - len(special))]  # Ġ is a space
    if multilingual:
        words[-1] = ""  # this is how CTranslate2 tells the models that know languages
    tokenizer = Tokenizer(BPE({word: index for index, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # The library takes every number from <|endoftext|> on for a mark and not for text.
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in special])
    return tokenizer


def marks() -> Iterator[str]:
    """Whisper's special tokens, in the order of their numbers."""
    yield "<|endoftext|>"
    yield "<|startoftranscript|>"
    yield from (f"<|{code}|>" for code in _LANGUAGE_CODES)
    yield from ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>")
    yield from ("<|nospeech|>", "<|notimestamps|>")
    yield from (f"<|{step * 0.02:.2f}|>" for step in range(TIMESTAMPS))


class _Dice:
    """Fills the parts of a specification with small random weights."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def weights(self, *shape: int) -> Weights:
        return (self._rng.standard_normal(shape) * 0.1).astype(np.float32)

    def linear(self, part: LinearSpec, outputs: int, inputs: int) -> None:
        part.weight, part.bias = self.weights(outputs, inputs), self.weights(outputs)

    def convolution(self, part: Conv1DSpec, outputs: int, inputs: int) -> None:
        part.weight, part.bias = self.weights(outputs, inputs, 3), self.weights(outputs)

    def embedding(self, part: EmbeddingsSpec, count: int) -> None:
        part.weight = self.weights(count, CHANNELS)

    def norm(self, part: LayerNormSpec) -> None:
        part.gamma, part.beta = np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32)


def _spec(rng: np.random.Generator, vocabulary: int) -> WhisperSpec:
    dice = _Dice(rng)
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    dice.convolution(spec.encoder.conv1, CHANNELS, MELS)
    dice.convolution(spec.encoder.conv2, CHANNELS, CHANNELS)
    spec.encoder.position_encodings.encodings = dice.weights(HEARD_POSITIONS, CHANNELS)
    spec.decoder.position_encodings.encodings = dice.weights(WRITTEN_POSITIONS, CHANNELS)
    dice.embedding(spec.decoder.embeddings, vocabulary)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    for side in (spec.encoder, spec.decoder):
        dice.norm(side.layer_norm)
        for layer in side.layer:
            _fill_layer(dice, layer)
    return spec


def _fill_layer(dice: _Dice, layer: object) -> None:
    own = layer.self_attention  # type: ignore[attr-defined]  # the specifications have no types
    dice.norm(own.layer_norm)
    dice.linear(own.linear[0], 3 * CHANNELS, CHANNELS)  # queries, keys and values at once
    dice.linear(own.linear[1], CHANNELS, CHANNELS)
    if other := getattr(layer, "attention", None):
        dice.norm(other.layer_norm)
        for part, outputs in zip(other.linear, (1, 2, 1), strict=True):
            dice.linear(part, outputs * CHANNELS, CHANNELS)
    network = layer.ffn  # type: ignore[attr-defined]  # the specifications have no types
    dice.norm(network.layer_norm)
    dice.linear(network.linear_0, 4 * CHANNELS, CHANNELS)
    dice.linear(network.linear_1, CHANNELS, 4 * CHANNELS)


if __name__ == "__main__":
    make_tiny_whisper(Path(sys.argv[1]))
