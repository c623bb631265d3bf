"""Figure 1 with a real engine class: what a turn costs beyond its engines when the language model
is behind Ollama, in the same running graph as the stub, turn by turn beside it. And how soon a
model stops when the learner breaks in, with a ping over the same socket as the control.

The Ollama is a server of its own that speaks its documented API and takes exactly the stub's times:
f to the first word, g from word to word. The models that are stopped are tiny, but loaded by
transformers and Coqui; their processes note when they have done a step.
"""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bench_turn import (
    ASR_S,
    FIRST_PIECE_S,
    FIRST_SENTENCE,
    FIRST_TOKEN_S,
    GAP_S,
    IDEAL_S,
    REST,
    WARM_UP,
    one_turn,
)
from benchmarks.measure import SETTLE_S, median, percentile, report
from benchmarks.stubbed import LIMITS, Stubs
from cli.environment import THROUGHPUT
from engines.stub import StubAsr, StubLlm, StubTts
from tests.answers import with_deltas
from tests.loaded_models import ENDLESS, TALKATIVE, Loaded, loaded, make_models
from tests.media import wav
from tests.ollama_server import ollama_process
from tests.running import Running, Talk, application, free_port, graph, serving
from tests.watched import acts

QUESTION = json.dumps({"type": "audio", "data": base64.b64encode(wav(1.0)).decode()})

TURNS = 40
INTERRUPTIONS = 15

STUBBED, OLLAMA = 2, 4
"""Tutors."""

STUBS = Stubs(
    StubAsr(delay_s=ASR_S),
    StubLlm(FIRST_SENTENCE + REST, FIRST_TOKEN_S, GAP_S),
    StubTts(first_piece_s=FIRST_PIECE_S, piece_delay_s=0.02, pieces=3, piece_seconds=0.2),
)


def with_both(config: dict[str, Any]) -> None:
    STUBS.into(config)
    pattern = application(config, "llm-default")
    args = {"engine": "ollama", "model": "llama3:8b"}
    config["applications"].append({**pattern, "name": "llm-llama3-8b", "args": args})


@contextmanager
def running() -> Iterator[Running]:
    port = free_port()
    environ = {
        **THROUGHPUT,
        **LIMITS,
        "OLLAMA_BASE_URL": f"http://127.0.0.1:{port}",
        f"TUTOR_{OLLAMA}_LLM_MODEL": "llama3:8b",
    }
    words = FIRST_SENTENCE + REST
    with (
        ollama_process(port, words=words, first_s=FIRST_TOKEN_S, gap_s=GAP_S, by_clock=True),
        TemporaryDirectory(prefix="tutor-bench-") as folder,
        serving(Path(folder), graph(free_port(), with_both), environ) as engine,
    ):
        time.sleep(SETTLE_S)
        yield engine


async def overheads_ms(engine: Running) -> tuple[list[float], list[float]]:
    """Of the stub and of Ollama, in turns."""
    async with (
        engine.conversation(tutor_id=STUBBED) as (_, stub),
        engine.conversation(tutor_id=OLLAMA) as (_, ollama),
    ):
        taken: list[list[float]] = [[], []]
        for talk in (stub, ollama):
            await with_deltas(talk)
        for _ in range(WARM_UP + TURNS):
            for talk, values in zip((stub, ollama), taken, strict=True):
                values.append((await one_turn(talk, QUESTION) - IDEAL_S) * 1000)
    return taken[0][WARM_UP:], taken[1][WARM_UP:]


async def stops_ms(stage: Loaded, tutor_id: int, app: str, after: str) -> tuple[float, float]:
    """Medians: from the learner's word to the end of the model's last step, and of a ping."""
    stops, pings = [], []
    for _ in range(INTERRUPTIONS):
        async with stage.engine.conversation(tutor_id=tutor_id) as (_, talk):
            await with_deltas(talk)
            pings.append(await ping_ms(talk))
            await talk.send(type="text", content="What is water?")
            await talk.until(after)
            said_s = time.monotonic()
            await talk.send(type="interrupt")
            await talk.until("interrupted")
        await asyncio.sleep(1.0)  # what is still computed then is noted, too
        stops.append(last_step_ms(stage, app, said_s))
    return median(stops), median(pings)


async def ping_ms(talk: Talk) -> float:
    began_s = time.perf_counter()
    await talk.ask(type="ping")
    return (time.perf_counter() - began_s) * 1000


def last_step_ms(stage: Loaded, app: str, since_s: float) -> float:
    """Of the model, after this moment; 0 when it has done none since."""
    reply = stage.replies(app)[-1]
    assert "left" in acts(reply), "it was not stopped"
    steps = [entry.at_s for entry in reply if entry.act == "step"]
    return max(0.0, *((at_s - since_s) * 1000 for at_s in steps))


def report_overhead() -> None:
    with running() as engine:
        stub, ollama = asyncio.run(overheads_ms(engine))
    for percent in (50, 95):
        report(
            f"turn_overhead_ollama_p{percent}",
            percentile(ollama, percent),
            "ms",
            control=percentile(stub, percent),
            goal="unchanged" if percent == 50 else "p95 ≤ 60",
        )


def report_stops() -> None:
    with TemporaryDirectory(prefix="tutor-bench-") as folder:
        home = Path(folder)
        with loaded(home, make_models(home / "models"), "xtts", "throughput") as stage:
            time.sleep(SETTLE_S)
            for name, tutor_id, app, after in (
                ("transformers", ENDLESS, "llm-endless", "text_delta"),
                ("xtts", TALKATIVE, "tts", "audio_delta"),
            ):
                stop, ping = asyncio.run(stops_ms(stage, tutor_id, app, after))
                report(f"stop_{name}_p50", stop, "ms", control=ping, goal="≤ 100")


def main() -> None:
    report_overhead()
    report_stops()


if __name__ == "__main__":
    main()
