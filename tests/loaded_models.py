"""The graph with models of the tests in its own processes: language models by transformers, and one
of Coqui's two kinds of voices, with the diaries of `tests/watched.py`."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.environment import THROUGHPUT
from tests.running import PROJECT, Running, application, free_port, graph, serving
from tests.tiny_coqui import make_tiny_vits, make_tiny_xtts
from tests.tiny_llm import FORGETFUL, TEMPLATE, make_tiny_llm
from tests.watched import DIARIES, Diary, acts, read_diary, replies

KNOWING, ENDLESS, SHORT, TALKATIVE, CLONED = 1, 4, 5, 6, 7
"""Tutors. The first has a model that knows some answers, the second one that does not stop; the
others a stub, for two sentences or for many. The last wants to sound like a recording."""

MODELS = {ENDLESS: "endless", SHORT: "short", TALKATIVE: "talkative", CLONED: "short"}

MAX_TOKENS = 2048
"""Of the answer that does not stop; they take seconds."""

XTTS_TOKENS = 120
"""Steps of the decoder in one sentence: six pieces, which take longer each."""

FIRST = "The light of the sun is white, and the air scatters the blue of it most of all. "
SECOND = (
    "When the sun is low, its light has a long way to go through the air, and so much of the blue "
    "has been scattered before it comes to us, that what is left of it looks red. "
)
"""Too long for VITS to read it at once."""

ROUNDS = 30
"""So often the talkative one says both."""

LOADING_LIMIT_S = 180.0
"""PyTorch alone takes a loaded machine half a minute, four times at once."""


@dataclass(frozen=True)
class Loaded:
    """The running graph."""

    engine: Running
    diaries: Path
    voice: str
    """Kind of Coqui's model: `xtts` or `vits`."""

    def replies(self, app: str) -> list[Diary]:
        return replies(read_diary(self.diaries, app))

    def is_left(self, app: str) -> bool:
        """Whether nobody waits for the model any more."""
        written = acts(read_diary(self.diaries, app))
        return written.count("left") == written.count("begin")

    def is_up(self) -> bool:
        engines = httpx.get(f"{self.engine.url}/health", timeout=20).json()["engines"]
        loaded = {engine["state"] for name, engine in engines.items() if name[:3] in ("llm", "tts")}
        return loaded == {"ready"}


def make_models(home: Path) -> dict[str, Path]:
    """Folders in the layouts that such models are published in."""
    # Its prompt ends in a word, which it repeats; it is large enough to take its time.
    wordy = TEMPLATE.replace("assistant\n", "assistant\nWater is")
    return {
        "llm": make_tiny_llm(home / "llm", template=FORGETFUL),
        "endless": make_tiny_llm(
            home / "endless", channels=256, layers=4, trained=False, template=wordy
        ),
        "xtts": make_tiny_xtts(home / "xtts", tokens=XTTS_TOKENS),
        "vits": make_tiny_vits(home / "vits", speakers=("anna", "david")),
    }


@contextmanager
def loaded(home: Path, models: dict[str, Path], voice: str, mode: str) -> Iterator[Loaded]:
    """`serve run` in one of its two modes, until every model is loaded."""

    def with_models(config: dict[str, Any]) -> None:
        _have(config, "tts", "tests.watched:build_tts", engine="coqui", model=str(models[voice]))
        _with_language_models(config, models)
        application(config, "gateway")["args"] = {"tutors": str(_tutors(home))}

    environ = _environ(home) | (THROUGHPUT if mode == "throughput" else {})
    with serving(home, graph(free_port(), with_models), environ) as engine:
        running = Loaded(engine, home, voice)
        _wait_for(running.is_up)
        yield running


def _wait_for(there: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LOADING_LIMIT_S
    while not there():
        if time.monotonic() > deadline_s:
            raise TimeoutError("The models of the tests were not loaded in time; see /health.")
        time.sleep(0.5)


def _environ(home: Path) -> dict[str, str]:
    own = {f"TUTOR_{tutor}_LLM_MODEL": model for tutor, model in MODELS.items()}
    return own | {
        DIARIES: str(home),
        "LLM_TEMPERATURE": "0",
        "COQUI_TOS_AGREED": "1",
        "MAX_SESSIONS": "40",
        "BACKEND_WAIT_SECONDS": "60",
        # The replicas import the watched deployments from the tests.
        "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    }


def _with_language_models(config: dict[str, Any], models: dict[str, Path]) -> None:
    pattern = application(config, "llm-default")
    for model in set(MODELS.values()):
        config["applications"].append({**pattern, "name": f"llm-{model}"})
    for app, folder in {"llm-default": "llm", "llm-endless": "endless"}.items():
        args = {"engine": "transformers", "model": str(models[folder]), "max_tokens": MAX_TOKENS}
        _have(config, app, "tests.watched:build_llm", **args)
    for app, count in {"llm-short": 1, "llm-talkative": ROUNDS}.items():
        stub = {"tokens": [word + " " for word in (FIRST + SECOND).split()] * count}
        _have(config, app, "deployments.llm:build", engine="stub", stub=stub)


def _have(config: dict[str, Any], name: str, build: str, **args: Any) -> None:
    app = application(config, name)
    app["import_path"], app["args"] = build, args


def _tutors(home: Path) -> Path:
    """The project's tutors, and one with a voice that nobody has yet."""
    usual = (PROJECT / "configs/tutors.yaml").read_text("utf-8")
    cloned = f"  {CLONED}:\n    name: Rosa\n    voice: {{name: Rosa}}\n    face: mei\n"
    place = home / "tutors.yaml"
    place.write_text(usual.replace("\ntutors:\n", f"\ntutors:\n{cloned}", 1), "utf-8")
    return place
