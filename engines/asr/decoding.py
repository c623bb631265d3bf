"""One run of Whisper over several windows: of one learner or of eight, in one language or in many.

The published library transcribes one recording after the other. Here its parts do the same for a
batch: features, encoder, language, beam search, a second try for what looks wrong, word times.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.asr.windows import Sound, Window
from engines.base import Vocabulary, Word

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

FIRST_TRY = {"beam_size": 5}

SECOND_TRY = {
    "beam_size": 1,
    "num_hypotheses": 5,
    "sampling_topk": 0,
    "sampling_temperature": 0.4,
}
"""With some chance in it, where the first got stuck in a loop. The library's further tries would
keep a learner waiting for text that is hardly ever better."""

MOST_REPETITIVE = 2.4
"""Length of a text over its compressed length; more is a loop. The library's own figure."""

LEAST_SURE = -1.0
"""Mean log-probability of a token, below which a text is a guess. The library's own figure."""

MOST_SILENT = 0.6
"""Probability that nobody speaks, above which a guess counts as silence. The library's own."""

TOKENS_PER_S = 30
"""More than the fastest speaker of a language that is spelt in bytes needs. It keeps a loop in one
short utterance from holding up the others to the limit of the model."""

LEAST_TOKENS = 20
MOST_TOKENS = 448
"""Prompt and text together: the model has no positions for more."""

OPENING, CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""Punctuation that belongs to the word behind it, and to the one before it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A window and what is known of it."""

    window: Window
    language: str | None = None
    """ISO 639-1; None: the model finds out."""
    vocabulary: Vocabulary = ()
    """Words that are likely."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said in a window."""

    text: str
    language: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class _Draft:
    """One result of the search."""

    tokens: list[int]
    text: str
    sure: float
    """Mean log-probability of a token."""
    silent: float
    """Probability that nobody speaks."""

    @property
    def is_silence(self) -> bool:
        return self.silent > MOST_SILENT and self.sure < LEAST_SURE

    @property
    def is_loop(self) -> bool:
        written = self.text.encode()
        return len(written) > MOST_REPETITIVE * len(zlib.compress(written))

    @property
    def is_doubtful(self) -> bool:
        return not self.is_silence and (self.is_loop or self.sure < LEAST_SURE)


class Decoder:
    """Hears with one model. Its calls take from milliseconds to seconds: make them in a thread."""

    def __init__(self, model: "WhisperModel", *, word_times: bool = False) -> None:
        self._model = model
        self._word_times = word_times
        self._tokenizers: dict[str, Tokenizer] = {}

    def hear(self, asked: Sequence[Asked]) -> list[Heard]:
        """The text of each window. Raises the library's RuntimeError.

        The library demands prompts of one length, so windows of one vocabulary run together.
        """
        heard: dict[int, Heard] = {}
        for vocabulary in dict.fromkeys(one.vocabulary for one in asked):
            places = [place for place, one in enumerate(asked) if one.vocabulary == vocabulary]
            found = self._hear([asked[place] for place in places], ", ".join(vocabulary) or None)
            heard |= dict(zip(places, found, strict=True))
        return [heard[place] for place in range(len(asked))]

    def _hear(self, asked: Sequence[Asked], hint: str | None) -> list[Heard]:
        features = np.stack([self._features(one.window.sound) for one in asked])
        encoded = self._model.encode(features)
        languages = self._languages(encoded, asked)
        most = _most_tokens(asked)
        drafts = self._drafts(encoded, languages, hint, most, FIRST_TRY)
        if doubtful := [index for index, draft in enumerate(drafts) if draft.is_doubtful]:
            again = self._model.encode(features[doubtful])
            spoken = [languages[index] for index in doubtful]
            second = self._drafts(again, spoken, hint, most, SECOND_TRY)
            for index, draft in zip(doubtful, second, strict=True):
                drafts[index] = better(drafts[index], draft)
        words = self._words(features, asked, languages, drafts)
        return [
            Heard("" if draft.is_silence else draft.text, language, times)
            for draft, language, times in zip(drafts, languages, words, strict=True)
        ]

    def _features(self, sound: Sound) -> Sound:
        from faster_whisper.audio import pad_or_trim

        padded: Sound = pad_or_trim(self._model.feature_extractor(sound)[..., :-1])
        return padded

    def _languages(self, encoded: "StorageView", asked: Sequence[Asked]) -> list[str]:
        if not self._model.model.is_multilingual:
            return ["en"] * len(asked)
        if all(one.language for one in asked):
            return [one.language or "" for one in asked]
        likely = self._model.model.detect_language(encoded)
        # Each is a list of ("<|en|>", probability), the most probable first.
        return [one.language or found[0][0][2:-2] for one, found in zip(asked, likely, strict=True)]

    def _tokenizer(self, language: str) -> "Tokenizer":
        from faster_whisper.tokenizer import Tokenizer

        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer,
                self._model.model.is_multilingual,
                task="transcribe",
                language=language,
            )
        return self._tokenizers[language]

    def _drafts(
        self,
        encoded: "StorageView",
        languages: Sequence[str],
        hint: str | None,
        most: int,
        search: dict[str, Any],
    ) -> list[_Draft]:
        from faster_whisper.transcribe import get_suppressed_tokens

        tokenizers = [self._tokenizer(language) for language in languages]
        # All are equally long, as the library demands: they differ in the language alone.
        prompts = [
            self._model.get_prompt(tokenizer, [], without_timestamps=True, hotwords=hint)
            for tokenizer in tokenizers
        ]
        prompt = len(prompts[0])
        results = self._model.model.generate(
            encoded,
            prompts,
            # The library writes at most half of `max_length`, and what the prompt leaves of it.
            max_length=min(max(2 * most, most + prompt), MOST_TOKENS),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=get_suppressed_tokens(tokenizers[0], [-1]),
            **search,
        )
        return [
            _draft(tokenizer, result) for tokenizer, result in zip(tokenizers, results, strict=True)
        ]

    def _words(
        self,
        features: Sound,
        asked: Sequence[Asked],
        languages: Sequence[str],
        drafts: Sequence[_Draft],
    ) -> list[tuple[Word, ...]]:
        words: list[tuple[Word, ...]] = [()] * len(asked)
        if not self._word_times:
            return words
        for language in set(languages):  # the library aligns one language at a time
            there = [
                index
                for index, draft in enumerate(drafts)
                if languages[index] == language and draft.text and not draft.is_silence
            ]
            if there:
                encoded = self._model.encode(features[there])
                texts = [drafts[index].tokens for index in there]
                frames = [round(100 * asked[index].window.seconds) for index in there]
                found = self._aligned(encoded, language, texts, frames)
                for index, alignment in zip(there, found, strict=True):
                    words[index] = _words(alignment, asked[index].window)
        return words

    def _aligned(
        self,
        encoded: "StorageView",
        language: str,
        texts: Sequence[Sequence[int]],
        frames: Sequence[int],
    ) -> list[list[dict[str, Any]]]:
        """`frames`: how many of the features, at 100 Hz, hold sound."""
        from faster_whisper.transcribe import merge_punctuations

        tokenizer = self._tokenizer(language)
        found: list[list[dict[str, Any]]] = self._model.find_alignment(
            tokenizer,
            [[token for token in text if token < tokenizer.eot] for text in texts],
            encoded,
            list(frames),
        )
        for alignment in found:
            merge_punctuations(alignment, OPENING, CLOSING)
        return found


def better(first: _Draft, second: _Draft) -> _Draft:
    """A second try that is not doubtful, else the surer of those that are no loop."""
    if not second.is_doubtful:
        return second
    straight = [draft for draft in (first, second) if not draft.is_loop]
    return max(straight or (first, second), key=lambda draft: draft.sure)


def _most_tokens(asked: Sequence[Asked]) -> int:
    return LEAST_TOKENS + round(TOKENS_PER_S * max(one.window.seconds for one in asked))


def _draft(tokenizer: "Tokenizer", result: Any) -> _Draft:
    tokens = result.sequences_ids[0]
    count = len(tokens)
    # The score is the mean over the text; the mark of its end counts as well.
    sure = result.scores[0] * count / (count + 1)
    return _Draft(tokens, tokenizer.decode(tokens).strip(), sure, result.no_speech_prob)


def _words(alignment: Sequence[dict[str, Any]], window: Window) -> tuple[Word, ...]:
    return tuple(
        Word(
            word["word"].strip(),
            window.recorded_s(float(word["start"])),
            window.recorded_s(float(word["end"])),
        )
        for word in alignment
        if word["word"].strip()
    )
