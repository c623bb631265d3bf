"""A Whisper that has learned sixteen words of the embedded voice: small enough to be made where the
tests run, in three minutes, and right about what it hears.

It is made once and kept in the user's cache, under a name that changes with the recipe
(`tests/engines/asr/training.py`). As a script: `python -m tests.trained_whisper` prints the folder.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from engines.base import Audio, Voice
from tests.speech import say

COLOURS = ("red", "blue", "green")
THINGS = ("book", "door", "window", "flower", "teacher")
ENGLISH = (*COLOURS, *THINGS, "open", "close", "please", "hello")
CHINESE = ("你好", "老师", "学习", "中文")

SOUND_ALIKE = {"flower": "flour"}
"""Written the second way when the vocabulary of the course says so."""

UNSEEN_VOICES = ("f2", "m3")
"""None of the recordings that it was trained on has them."""

PROJECT = Path(__file__).resolve().parents[1]
RECIPE = ("tests/trained_whisper.py", "tests/tiny_whisper.py", "tests/engines/asr/training.py")
MISSING = "the speech model of the tests is trained with torch and transformers"


def phrases(count: int, seed: int = 7) -> list[str]:
    """English phrases of three to five words: of 108,000 that there are, hardly one of which was
    among the recordings."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(ENGLISH, rng.integers(3, 6), replace=False)) for _ in range(count)]


async def said(phrase: str, voice: str = UNSEEN_VOICES[0]) -> Audio:
    """The phrase as a learner's microphone would record it."""
    language = "en" if phrase.isascii() else "zh"
    return await say(phrase, Voice(name=voice, rate=0.9, language=language))


@cache
def trained_whisper() -> Path:
    """The folder of the model, which is made when it is not there yet."""
    recipe = hashlib.sha256(b"".join((PROJECT / name).read_bytes() for name in RECIPE))
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "virtual-tutor"
    folder = cached / f"whisper-{recipe.hexdigest()[:12]}"
    with _alone(folder):
        if not folder.is_dir():
            # In a process of its own: the tests need no torch, and it leaves no threads behind.
            command = [sys.executable, "-m", "tests.engines.asr.training", str(folder)]
            subprocess.run(command, cwd=PROJECT, check=True)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two test runs at once make it once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(trained_whisper())  # noqa: T201  # the answer of a script
