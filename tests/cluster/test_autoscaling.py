"""A language model for each tutor, scaled on its own, and tutors that come and go: no socket is
cut, in both of Serve's modes."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.dashboard import applications, dashboard_url
from tests.cli.test_up_cluster import User, fine
from tests.ollama_server import FakeOllama, ollama_server
from tests.processes import command
from tests.running import Running, Talk, application, eventually, graph

pytestmark = pytest.mark.cluster

BUSY, QUIET, SLEEPY = 1, 2, 3
"""Tutors, each with a model of its own; the last one's is scaled to zero."""

TUTORS = {
    "tutors": {
        BUSY: {"name": "Busy", "face": "mei", "model": "busy:1"},
        QUIET: {"name": "Quiet", "face": "anna", "model": "quiet:1"},
        SLEEPY: {"name": "Sleepy", "face": "david", "model": "sleepy:1"},
    },
    "anyone": [{"face": "anna"}],
    "models": {"sleepy:1": {"min_replicas": 0}},
}

STUBBED = ["It ", "is ", "the ", "stub ", "that ", "speaks."]
NEWCOMER = ("I ", "am ", "new ", "here.")

LOAD = 6
"""Learners at once: three replicas for two answers each."""

SCALING = {
    "min_replicas": 1,
    "max_replicas": 3,
    "target_ongoing_requests": 2,
    "upscale_delay_s": 0.5,
    "downscale_delay_s": 2,
    "look_back_period_s": 2,
}

QUICKLY = {
    # Serve looks at its figures every ten seconds otherwise.
    "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "0.5",
    "MAX_SESSIONS": "40",
    "MAX_SESSIONS_PER_STUDENT": "40",
    "BACKEND_WAIT_SECONDS": "60",
    "DEFAULT_LLM_MODEL": "usual:1",
}

SCALE_LIMIT_S = 90.0
"""Two cores start a replica within some five seconds, when they have nothing else to do."""


def stubs(config: dict[str, Any], tutors: Path) -> None:
    for name in ("asr", "tts", "avatar", "llm-default"):
        application(config, name)["args"] = {"engine": "stub"}
    model = application(config, "llm-default")
    model["args"]["stub"] = {"tokens": STUBBED, "gap_s": 0.5}
    model["deployments"][0]["autoscaling_config"] = SCALING
    application(config, "gateway")["args"] = {"tutors": str(tutors)}


class Engine:
    """What `tutor up` has started, and how many replicas each application was seen with."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.running = Running(f"http://127.0.0.1:{user.port}")
        self.most: dict[str, int] = defaultdict(int)
        record = user.files.running()
        assert record is not None
        self.record = record
        url = dashboard_url(user.files.log_file.read_text("utf-8"))
        assert url is not None
        self.dashboard = url

    def replicas(self, app: str) -> int:
        """Those that can answer."""
        counts = {a.name: a.replicas.get("RUNNING", 0) for a in applications(self.dashboard) or []}
        for name, count in counts.items():
            self.most[name] = max(self.most[name], count)
        return counts.get(app, -1)

    async def scaled(self, app: str, count: int) -> None:
        await eventually(lambda: self.replicas(app) == count, SCALE_LIMIT_S)

    def gateways(self) -> set[int]:
        return {p.pid for p in self.record.processes() if "ServeReplica:gateway:" in command(p)}

    def health(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.running.url}/health", timeout=20)
        engines: dict[str, Any] = answer.json()["engines"]
        return engines

    @asynccontextmanager
    async def talks(self, tutor_id: int, count: int) -> AsyncIterator[list[Talk]]:
        async with AsyncExitStack() as stack:
            found = []
            for _ in range(count):
                conversation = self.running.conversation(tutor_id=tutor_id)
                found.append((await stack.enter_async_context(conversation))[1])
            yield found

    async def types(self, *arguments: str) -> str:
        """A command, while the sockets of this test go on."""
        return fine(await asyncio.to_thread(self.user.types, *arguments))


@pytest.fixture(scope="module")
def ollama() -> Iterator[tuple[FakeOllama, str]]:
    fake = FakeOllama(models=["newcomer:1"], words=NEWCOMER)
    with ollama_server(fake) as url:
        yield fake, url


@pytest.fixture(scope="module", params=["default", "throughput"])
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    ollama: tuple[FakeOllama, str],
) -> Iterator[Engine]:
    home: Path = tmp_path_factory.mktemp(request.param)
    tutors, config = home / "tutors.yaml", home / "graph.yaml"
    tutors.write_text("# Who they are.\n" + yaml.safe_dump(TUTORS))
    user = User(home, OLLAMA_BASE_URL=ollama[1], **QUICKLY)
    config.write_text(yaml.safe_dump(graph(user.port, lambda found: stubs(found, tutors))))
    mode = ["--plain-serve"] if request.param == "default" else []
    try:
        fine(user.types("up", "--no-web", "--config", str(config), *mode))
        yield Engine(user)
    finally:
        user.types("down")


async def keep_asking(talk: Talk, enough: Callable[[], bool]) -> None:
    while not enough():
        answer = await talk.ask(type="text", content="Go on.")
        assert answer["content"].strip() == "".join(STUBBED)


async def test_each_model_is_scaled_on_its_own_and_no_socket_is_cut(engine: Engine) -> None:
    gateways = engine.gateways()
    assert len(gateways) == 1
    assert engine.replicas("llm-quiet-1") == 1
    enough = asyncio.Event()
    async with engine.talks(BUSY, LOAD) as busy, engine.talks(QUIET, 1) as quiet:
        async with asyncio.TaskGroup() as learners:
            for talk in (*busy, *quiet):
                learners.create_task(keep_asking(talk, enough.is_set))
            try:
                await engine.scaled("llm-busy-1", 3)
            finally:
                enough.set()
        await engine.scaled("llm-busy-1", 1)
        for talk in (*busy, *quiet):
            assert await talk.ask(type="ping") == {"type": "pong"}
        assert (await busy[0].ask(type="text", content="Still there?"))["type"] == "text"
    assert engine.most["llm-quiet-1"] == 1
    assert engine.most["llm-default"] == 1
    assert engine.gateways() == gateways


async def test_a_model_at_zero_answers_when_it_is_asked_and_not_before(engine: Engine) -> None:
    for _ in range(3):
        assert engine.health()["llm-sleepy-1"]["state"] == "ready"
        assert engine.replicas("llm-sleepy-1") == 0, "asking how it is does not wake it"
    async with engine.talks(SLEEPY, 1) as (talk,):
        async with asyncio.TaskGroup() as learner:
            asking = learner.create_task(talk.ask(type="text", content="Wake up!"))
            await engine.scaled("llm-sleepy-1", 1)  # it is not the default model that answers
        assert asking.result()["content"].strip() == "".join(STUBBED)
        # Looking on does not keep it awake.
        await eventually(
            lambda: engine.health() and engine.replicas("llm-sleepy-1") == 0, SCALE_LIMIT_S
        )
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_a_tutor_comes_and_goes_while_others_talk(
    engine: Engine, ollama: tuple[FakeOllama, str]
) -> None:
    gateways, file = engine.gateways(), engine.user.folder / "tutors.yaml"
    async with engine.talks(BUSY, 2) as before, engine.talks(7, 1) as (seven,):
        # Tutor 7 is nobody yet: a stand-in answers, with the default model.
        assert (await seven.ask(type="text", content="Hello"))["content"].strip() == "".join(
            STUBBED
        )
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as learners:
            for talk in before:
                learners.create_task(keep_asking(talk, enough.is_set))
            try:
                said = await engine.types(
                    *("tutors", "add", "7", "--name", "Newcomer", "--face", "mei"),
                    *("--model", "newcomer:1", "--llm-engine", "ollama", "--voice", "tone"),
                )
            finally:
                enough.set()
        assert "llm-newcomer-1 is running." in said
        assert file.read_text().startswith("# Who they are.\n")
        answer = await seven.ask(type="text", content="And now?")
        assert answer["content"] == "".join(NEWCOMER)
        assert {asked["model"] for asked in ollama[0].asked} == {"newcomer:1"}
        listed = json.loads(await engine.types("tutors", "list", "--json"))["tutors"]
        newcomer = next(tutor for tutor in listed if tutor["id"] == 7)
        assert (newcomer["application"], newcomer["state"]) == ("llm-newcomer-1", "RUNNING")
        assert engine.health()["llm-newcomer-1"]["engine"] == "ollama"

        said = await engine.types("tutors", "remove", "7")
        assert "llm-newcomer-1 has ended" in said
        assert engine.replicas("llm-newcomer-1") == -1
        answer = await seven.ask(type="text", content="Who is there?")
        assert answer["content"].strip() == "".join(STUBBED)
        for talk in before:
            assert await talk.ask(type="ping") == {"type": "pong"}
    assert engine.gateways() == gateways


async def test_a_tutor_without_an_application_is_answered_for_by_the_default_model(
    engine: Engine,
) -> None:
    await engine.types(
        *("tutors", "add", "8", "--name", "Early", "--model", "newcomer:1", "--no-deploy"),
        *("--llm-engine", "ollama"),
    )
    await eventually(lambda: "llm-newcomer-1" in engine.health(), SCALE_LIMIT_S)
    told = engine.health()["llm-newcomer-1"]
    assert told["state"] == "degraded"
    assert "tutor tutors deploy" in told["remedy"]
    async with engine.talks(8, 1) as (talk,):
        answer = await talk.ask(type="text", content="Hello")
        assert answer["content"].strip() == "".join(STUBBED)
        await engine.types("tutors", "deploy")
        assert (await talk.ask(type="text", content="And now?"))["content"] == "".join(NEWCOMER)
    await engine.types("tutors", "remove", "8")


async def test_a_wrong_file_is_told_in_the_log_and_the_old_one_stays(engine: Engine) -> None:
    file = engine.user.folder / "tutors.yaml"
    good = file.read_text()
    try:
        file.write_text("anyone: [")
        log = engine.user.files.log_file
        await eventually(lambda: "The tutors stay as they were" in log.read_text(), 30)
        async with engine.talks(QUIET, 1) as (talk,):
            answer = await talk.ask(type="text", content="Hello")
            assert answer["content"].strip() == "".join(STUBBED)
    finally:
        file.write_text(good)
