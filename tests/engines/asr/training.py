"""How the Whisper of the tests (`tests/trained_whisper.py`) is trained: `python -m
tests.engines.asr.training FOLDER [SEED]`.

The published network hears in windows of thirty seconds. Training with those would take an hour
here, so it hears three seconds, without a difference: what lies behind them is the same silence at
the same place, and one position that counts as often as there will be such (`_COUNTS`) draws just
as much attention as all of them.

Three lessons at once: the words of the decoder; the words that each stretch of the encoder holds
(CTC), which teaches it to hear long before the decoder knows where to look; and where to look,
namely along the phrase.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from engines.base import HEARING_RATE_HZ, Pcm, Voice
from engines.sound import joined
from engines.tts.espeak import EspeakTts
from serve_app.recording import resampled
from tests.tiny_whisper import marks
from tests.trained_whisper import CHINESE, ENGLISH, SOUND_ALIKE

VOICES = ("m1", "m2", "m4", "m5", "m6", "m7", "f1", "f3", "f4", "f5", "")
"""Two of espeak's usual ones are left for the tests."""

CHANNELS, HEADS, LAYERS, MELS = 96, 4, 2, 80
POSITIONS = 150
"""Of 20 ms, that speech may fill: three seconds."""
WINDOW = 1500
"""Positions of the published layout."""
SAMPLES = HEARING_RATE_HZ // 50
"""Of one position."""

RECORDINGS = 3000
SINGULAR = 6
"""So many times more often than another comes the first phrase, which has no word with them in
common."""
STEPS, BATCH, RATE = 900, 16, 2e-3
SHARPEST = 30.0
"""Natural logarithm: so much more attention one position may get than another. Word times are found
by dividing by how much a position's attention varies; below e^-43 that is zero in 32 bits."""
ASTRAY = 8.0
"""Positions (160 ms) that the attention may be away from the middle of its word."""

SPELLED = (
    *(f" {word}" for word in (*sorted(set(chain(*ENGLISH))), *SOUND_ALIKE.values())),
    *sorted(set(chain(*CHINESE))),
)
"""The text of each token, as it stands in a sentence."""
WORD = {text.strip(): number for number, text in enumerate(SPELLED)}
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
"""For whatever else the library spells."""
COMMA = len(SPELLED) + LETTERS.index(",")
NO_TEXT = ""
"""The token by which CTranslate2 tells the models that know languages."""
MARK = {mark: number for number, mark in enumerate(marks(), len(SPELLED) + len(LETTERS) + 1)}
IGNORED = -100

Floats = npt.NDArray[np.float32]


# ── the recordings ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Lesson:
    """One recording and what is said in it."""

    language: str
    words: tuple[str, ...]
    mels: npt.NDArray[np.float16]
    begin: float
    """Position at which the first word begins."""
    end: float

    def middles(self) -> Floats:
        """Position of each word, as far as its letters tell, and of the end."""
        lengths = np.array([len(word) + 1 for word in self.words], np.float32)
        middles = (np.cumsum(lengths) - lengths / 2) / lengths.sum()
        return np.append(self.begin + (self.end - self.begin) * middles, self.end).astype("f4")


async def lessons(rng: np.random.Generator) -> list[Lesson]:
    voice, ears = EspeakTts(), FeatureExtractor()
    return [await _lesson(voice, ears, rng) for _ in range(RECORDINGS)]


async def _lesson(tts: EspeakTts, ears: FeatureExtractor, rng: np.random.Generator) -> Lesson:
    language = "zh" if rng.random() < 0.2 else "en"
    known = ENGLISH if language == "en" else CHINESE
    words = known[max(0, int(rng.integers(-SINGULAR, len(known))))]
    voice = Voice(
        name=str(rng.choice(VOICES)),
        rate=rng.uniform(0.85, 1.25),
        pitch=rng.uniform(0.8, 1.3),
        language=language,
    )
    text = (" " if language == "en" else "").join(words)
    pieces = [piece async for piece in tts.speak(text, voice)]
    speech = _grown(resampled(joined(pieces), HEARING_RATE_HZ).samples, rng.uniform(0.88, 1.12))
    before, after = (int(seconds * HEARING_RATE_HZ) for seconds in rng.uniform(0, 0.5, 2))
    heard = _in_a_room(np.pad(speech, (before, after)), rng)
    begin, end = before / SAMPLES, min((before + len(speech)) / SAMPLES, POSITIONS)
    return Lesson(language, words, _mels(ears, heard), begin, end)


def _grown(speech: Pcm, size: float) -> Pcm:
    """As if by a taller or a smaller person: eleven voices are few to learn hearing from."""
    times = np.arange(0, len(speech) - 1, 1 / size)
    grown: Pcm = np.interp(times, np.arange(len(speech)), speech).astype(np.int16)
    return grown


def _in_a_room(speech: Pcm, rng: np.random.Generator) -> Floats:
    """Loud or soft, with a hiss that may hardly be heard or well."""
    loud = speech[: (POSITIONS - 2) * SAMPLES] * rng.uniform(0.3, 1.2)
    noisy = loud + rng.normal(0, 10 ** rng.uniform(-0.5, 2.1), len(loud))
    return (noisy / 32768).astype(np.float32)


def _mels(ears: FeatureExtractor, heard: Floats) -> npt.NDArray[np.float16]:
    found = ears(heard)[..., :-1]
    padded = np.pad(found, ((0, 0), (0, 2 * len(_COUNTS) - found.shape[1])))
    return padded.astype(np.float16)


# ── the network ───────────────────────────────────────────────────────────────────────────────

_COUNTS = torch.ones(POSITIONS + 2)
"""How often each position of the short window is there in the long one. The last has a neighbour
less, at the edge, and is there once in both."""
_COUNTS[POSITIONS] = WINDOW - POSITIONS - 1

_looks: list[Tensor] = []
"""Where the decoder's last layer looked, for the lesson about that."""

_sharpness: list[Tensor] = []
"""By how much it preferred one position to another, as a logarithm."""


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: Any
) -> tuple[Tensor, None]:
    """As the library's, with `_COUNTS`: e^(x + ln n) = n e^x."""
    if module.is_causal:
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
    else:
        scores = query @ key.transpose(-1, -2)
        weights = (scores + _COUNTS.log()).softmax(-1)
        if module.is_decoder and module.layer_idx == LAYERS - 1:
            _looks.append(weights)
            _sharpness.append(scores.amax(-1) - scores.amin(-1))
        seen = weights @ value
    return seen.transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register("counted", _attention)


def network() -> WhisperForConditionalGeneration:
    end = MARK["<|endoftext|>"]
    config = WhisperConfig(
        vocab_size=max(MARK.values()) + 1,
        num_mel_bins=MELS,
        d_model=CHANNELS,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=2 * CHANNELS,
        decoder_ffn_dim=2 * CHANNELS,
        max_source_positions=POSITIONS + 2,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=MARK["<|startoftranscript|>"],
        init_std=0.1,  # the published 0.02 is for wider layers: here nothing would move at first
    )
    config._attn_implementation = "counted"
    net = WhisperForConditionalGeneration(config)
    places = net.model.encoder.embed_positions.weight
    with torch.no_grad():
        places[POSITIONS:] = places[POSITIONS].clone()
    return net


# ── the lessons ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Task:
    """What the decoder reads and has to write next, token by token, and where it should look."""

    read: list[int]
    write: list[int]
    look: list[float]
    """Position; negative where it does not matter."""


def vocabulary(rng: np.random.Generator) -> list[str]:
    """Words of a course: in half of the lessons none, in a quarter with one that sounds like
    another."""
    if rng.random() < 0.5:
        return []
    words = [str(word) for word in rng.choice(list(WORD), rng.integers(0, 4), replace=False)]
    words += SOUND_ALIKE.values() if rng.random() < 0.5 else ()
    rng.shuffle(words)
    return words


def task(lesson: Lesson, rng: np.random.Generator) -> Task:
    hint = vocabulary(rng)
    written = {word: alike for word, alike in SOUND_ALIKE.items() if alike in hint}
    spelled = [written.get(word, word) for word in lesson.words]
    words = [WORD[word] for word in spelled]
    before: list[int] = []
    for word in hint:  # as the library puts them: separated by commas
        before += [COMMA if before else MARK["<|startofprev|>"], WORD[word]]
    language = MARK[f"<|{lesson.language}|>"]
    start = [MARK["<|startoftranscript|>"], language]
    start += [MARK["<|transcribe|>"], MARK["<|notimestamps|>"]]
    return Task(
        [*before, *start, *words],
        [*[IGNORED] * len(before), language, IGNORED, IGNORED, *words, MARK["<|endoftext|>"]],
        [*[-1.0] * (len(before) + 3), *lesson.middles()],
    )


def table(rows: Sequence[Sequence[float]], filler: float) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


class School:
    """The network, and all that it needs to learn."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.net = network()
        self._rng = np.random.default_rng(seed)
        self._ctc = nn.Linear(CHANNELS, len(SPELLED) + 1)
        learned = [*self.net.parameters(), *self._ctc.parameters()]
        self._learned = [weights for weights in learned if weights.requires_grad]
        self._optimizer = torch.optim.AdamW(self._learned, RATE, betas=(0.9, 0.98))
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, RATE, total_steps=STEPS, pct_start=0.15
        )

    def teach(self, taught: Sequence[Lesson]) -> float:
        """One step; the loss."""
        loss = self._loss(taught)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(self._learned, 1.0)
        self._optimizer.step()
        self._schedule.step()
        return loss.item()

    def _loss(self, taught: Sequence[Lesson]) -> Tensor:
        tasks = [task(lesson, self._rng) for lesson in taught]
        mels = torch.from_numpy(np.stack([lesson.mels for lesson in taught])).float()
        read = table([task.read for task in tasks], MARK["<|endoftext|>"])
        write = table([task.write for task in tasks], IGNORED)
        look = table([task.look for task in tasks], -1.0)
        _looks.clear()
        _sharpness.clear()
        heard = self.net.model.encoder(mels).last_hidden_state
        states = self.net.model.decoder(read, encoder_hidden_states=heard, use_cache=False)
        written = self.net.proj_out(states.last_hidden_state)
        spelling = functional.cross_entropy(
            written.flatten(0, 1), write.flatten(), ignore_index=IGNORED
        )
        too_sharp = functional.relu(_sharpness[0] - SHARPEST).mean()
        return spelling + self._hearing(heard, taught) + looking(_looks[0], look) + too_sharp

    def _hearing(self, heard: Tensor, taught: Sequence[Lesson]) -> Tensor:
        words = [[WORD[word] for word in lesson.words] for lesson in taught]
        likely = self._ctc(heard[:, :POSITIONS]).log_softmax(-1).transpose(0, 1)
        return functional.ctc_loss(
            likely,
            torch.tensor(sum(words, [])),
            torch.full((len(words),), POSITIONS),
            torch.tensor([len(row) for row in words]),
            blank=len(SPELLED),
            zero_infinity=True,
        )


def looking(looks: Tensor, wanted: Tensor) -> Tensor:
    """The share of attention that goes elsewhere. `looks`: [batch, head, token, position]."""
    away = (torch.arange(looks.shape[-1]) - wanted[..., None]) / ASTRAY
    elsewhere = (looks.mean(1) * (1 - torch.exp(-(away**2) / 2))).sum(-1)
    return elsewhere[wanted >= 0].mean()


def trained(seed: int = 0) -> WhisperForConditionalGeneration:
    rng = np.random.default_rng(seed)
    every = asyncio.run(lessons(rng))
    school = School(seed)
    for step in range(STEPS):
        chosen = rng.choice(len(every), BATCH, replace=False)
        loss = school.teach([every[index] for index in chosen])
        if step % 100 == 99:
            print(f"step {step + 1} of {STEPS}: loss {loss:.3f}", flush=True)  # noqa: T201  # takes minutes
    return school.net


# ── the folder ────────────────────────────────────────────────────────────────────────────────


def saved(net: WhisperForConditionalGeneration, folder: Path) -> None:
    """In the published layout, for CTranslate2 and faster-whisper."""
    places = net.model.encoder.embed_positions
    silent = places.weight[POSITIONS].expand(WINDOW - POSITIONS, -1)
    places.weight = nn.Parameter(torch.cat([places.weight[:POSITIONS], silent]), False)
    spelling = tokenizer()
    tokens = [spelling.id_to_token(number) for number in range(spelling.get_vocab_size())]
    spec = WhisperLoader().get_model_spec(net)
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [MARK["<|endoftext|>"]]
    spec.config.lang_ids = [MARK[f"<|{code}|>"] for code in _LANGUAGE_CODES]
    spec.config.alignment_heads = [[LAYERS - 1, head] for head in range(HEADS)]
    spec.validate()
    spec.optimize()
    with TemporaryDirectory(dir=folder.parent) as unfinished:
        made = Path(unfinished) / folder.name
        made.mkdir()
        spec.save(str(made))
        spelling.save(str(made / "tokenizer.json"))
        (made / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS}))
        made.rename(folder)


def tokenizer() -> Tokenizer:
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = [split.pre_tokenize_str(text)[0][0] for text in SPELLED]
    numbers = {word: number for number, word in enumerate([*words, *LETTERS, NO_TEXT])}
    found = Tokenizer(BPE(numbers, [], ignore_merges=True))  # a word that it knows is one token
    found.pre_tokenizer = split
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([AddedToken(mark, special=True) for mark in MARK])
    return found


if __name__ == "__main__":
    saved(trained(int(sys.argv[2]) if len(sys.argv) > 2 else 0), Path(sys.argv[1]))
