"""A Whisper that has learned seventy-seven phrases of the embedded voice: small enough to be made
where the tests run, in a minute or two, and right about what it hears.

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
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from engines.base import Audio, Voice
from tests.speech import say

VERBS = ("open", "find", "take")
COLOURS = ("red", "blue", "green")
THINGS = ("book", "door", "window", "flower")
POLITE = ("", "please")

ENGLISH = (
    ("hello", "teacher"),
    *(
        tuple(filter(None, (verb, "the", colour, thing, please)))
        for verb, colour, thing, please in product(VERBS, COLOURS, THINGS, POLITE)
    ),
)
CHINESE = (
    ("你好", "老师"),
    ("我", "学习", "中文"),
    ("老师", "你好", "我", "学习", "中文"),
    ("你好", "我", "学习", "中文"),
)
"""The phrases that it knows, word by word."""

SOUND_ALIKE = {"flower": "flour"}
"""Written the second way when the vocabulary of the course says so."""

UNSEEN_VOICES = ("f2", "m3")
"""None of the recordings that it was trained on has them."""

PROJECT = Path(__file__).resolve().parents[1]
RECIPE = ("tests/trained_whisper.py", "tests/tiny_whisper.py", "tests/engines/asr/training.py")


def phrases(count: int, seed: int = 7) -> list[str]:
    """English ones of four or five words, all different."""
    chosen = np.random.default_rng(seed).choice(len(ENGLISH) - 1, count, replace=False)
    return [" ".join(ENGLISH[1 + number]) for number in chosen]


async def said(phrase: str, voice: Voice | None = None) -> Audio:
    """The phrase as a learner's microphone would record it."""
    language = "en" if phrase.isascii() else "zh"
    chosen = voice or Voice(name=UNSEEN_VOICES[0], rate=0.9)
    return await say(phrase, replace(chosen, language=language))


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
            # Threads that spin while they wait would take three times as long beside other tests.
            environ = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
            subprocess.run(command, cwd=PROJECT, env=environ, check=True)
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
