"""The real graph, around stub engines with set delays: what remains is what we cost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import SETTLE_S
from cli.environment import THROUGHPUT
from engines.stub import StubAsr, StubLlm, StubTts
from serve_app.settings import Settings
from tests.running import (
    Running,
    application,
    free_port,
    graph,
    plain,
    serving,
    stub_engines,
)

MODES = ("plain", "default", "throughput")
"""`plain`: the gateway under uvicorn with the stubs in the same process, the control."""

LIMITS = {"MAX_SESSIONS": "100", "MAX_SESSIONS_PER_STUDENT": "100"}


@contextmanager
def running(mode: str, asr: StubAsr, llm: StubLlm, tts: StubTts) -> Iterator[Running]:
    """An engine whose verbs take exactly as long as the stubs say."""

    def with_stubs(config: dict[str, Any]) -> None:
        stubs = {
            "asr": {"delay_s": asr.delay_s},
            "llm-default": {
                "tokens": list(llm.tokens),
                "first_token_s": llm.first_token_s,
                "gap_s": llm.gap_s,
            },
            "tts": {
                "first_piece_s": tts.first_piece_s,
                "piece_delay_s": tts.piece_delay_s,
                "pieces": tts.pieces,
                "piece_seconds": tts.piece_seconds,
            },
        }
        for name, stub in stubs.items():
            application(config, name)["args"] = {"engine": "stub", "stub": stub}

    with TemporaryDirectory(prefix="tutor-bench-") as folder:
        home = Path(folder)
        if mode == "plain":
            settings = Settings(tutor_home=home, max_sessions=100, max_sessions_per_student=100)
            engines = stub_engines(hear=asr, think=lambda tutor: llm, speak=tts)
            with plain(settings, engines) as engine:
                yield engine
            return
        environ = {**LIMITS, **(THROUGHPUT if mode == "throughput" else {})}
        with serving(home, graph(free_port(), with_stubs), environ) as engine:
            time.sleep(SETTLE_S)
            yield engine
