"""Tutors' own models behind Serve's handles, with a controller that says what the test wants."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from ray import serve
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from deployments import llm, tutor_models
from deployments.backend import Backend
from deployments.controller import Controller
from deployments.graph import ADD_IT
from deployments.tutor_models import TutorModels
from engines.base import EngineState, Message
from engines.errors import EngineUnavailable
from engines.stub import StubLlm

OWN, DEFAULT = "llm-own", "llm-default"
QUESTION = [Message("user", "Hello")]


class Told(Controller):
    """Serve as the test has it."""

    def __init__(self, **statuses: ApplicationStatus | None) -> None:
        super().__init__()
        self.now = dict(statuses)
        self.looks = 0

    async def handle(self, application: str) -> DeploymentHandle[Any]:
        if self.now.get(application.removeprefix("llm-")) is None:
            raise RayServeException("There is no such application.")
        return cast(DeploymentHandle[Any], None)

    async def statuses(self) -> dict[str, ApplicationStatusOverview]:
        self.looks += 1
        return {
            f"llm-{name}": ApplicationStatusOverview(status, "", 0.0, {})
            for name, status in self.now.items()
            if status is not None
        }


@pytest.fixture
def backends() -> Iterator[dict[str, Backend]]:
    """Both models as they are deployed, in Serve's local testing mode."""
    found = {}
    for name, word in ((OWN, "own"), (DEFAULT, "default")):
        found[name] = Backend(name, 0.1, Controller())
        args = llm.LlmArgs(engine="stub", stub=StubLlm((word,)))
        found[name]._handle = serve.run(llm.build(args), name=name, _local_testing_mode=True)
    yield found


def models(backends: dict[str, Backend], told: Controller) -> TutorModels:
    return TutorModels(backends[DEFAULT], backends.__getitem__, told, lambda: {OWN, DEFAULT})


async def answer(found: TutorModels, app: str = OWN) -> str:
    return "".join([token async for token in found.of(app).reply(QUESTION)])


async def test_a_tutor_is_answered_for_by_its_own_model(backends: dict[str, Backend]) -> None:
    told = Told(own=ApplicationStatus.RUNNING)
    found = models(backends, told)
    assert await answer(found) == "own"
    assert await answer(found) == "own"
    assert told.looks == 1, "no turn looks closely at what could answer before"
    assert await answer(found, DEFAULT) == "default"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (None, "not deployed"),
        (ApplicationStatus.DEPLOYING, "is starting"),
        (ApplicationStatus.DEPLOY_FAILED, "not running"),
        (ApplicationStatus.DELETING, "not running"),
    ],
)
async def test_the_default_model_stands_in_until_the_own_one_is_there(
    status: ApplicationStatus | None,
    why: str,
    backends: dict[str, Backend],
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told(own=status)
    found = models(backends, told)
    with caplog.at_level(logging.WARNING):
        assert await answer(found) == "default"
    assert why in caplog.text
    assert "tutor tutors deploy" in caplog.text
    told.now["own"] = ApplicationStatus.RUNNING
    assert await answer(found) == "own", "at once"


async def test_one_that_is_taken_down_is_stood_in_for_at_once(
    backends: dict[str, Backend],
) -> None:
    told = Told(own=ApplicationStatus.RUNNING)
    found = models(backends, told)
    assert await answer(found) == "own"
    told.now["own"] = None
    assert await answer(found) == "default"


class Hanging(Told):
    """A controller that has died, and is not back yet."""

    async def handle(self, application: str) -> DeploymentHandle[Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def statuses(self) -> dict[str, ApplicationStatusOverview]:
        raise EngineUnavailable("It does not answer.")


async def test_a_model_answers_while_nobody_tells_how_it_is(
    backends: dict[str, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tutor_models, "LOOK_LIMIT_S", 0.05)
    found = models(backends, Hanging())
    assert await answer(found) == "own"
    found._trusted.add(OWN)
    assert await answer(found) == "own"


class Gone(Backend):
    """One whose application has vanished, after so many tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__(OWN, 0.0, Controller())
        self._tokens = tokens

    async def stream(self, method: str, *args: object) -> Any:
        for _ in range(self._tokens):
            yield "own"
        raise EngineUnavailable("It is gone.")


async def test_one_that_vanishes_is_stood_in_for_while_nothing_has_been_said(
    backends: dict[str, Backend],
) -> None:
    told = Told(own=ApplicationStatus.RUNNING)
    found = models({**backends, OWN: Gone(0)}, told)
    assert await answer(found) == "default"
    told.now["own"] = ApplicationStatus.DEPLOY_FAILED
    assert await answer(found) == "default"
    assert told.looks == 2, "it is looked at closely after it has not answered"
    told.now["own"] = ApplicationStatus.RUNNING
    said = []
    with pytest.raises(EngineUnavailable):
        async for token in _reply(models({**backends, OWN: Gone(1)}, told)):
            said.append(token)
    assert said == ["own"]


def _reply(found: TutorModels) -> AsyncIterator[str]:
    return found.of(OWN).reply(QUESTION)


def test_the_stages_follow_the_tutors(backends: dict[str, Backend]) -> None:
    wanted = {DEFAULT}
    found = TutorModels(backends[DEFAULT], backends.__getitem__, Told(), lambda: wanted)
    stages = {"llm": backends[DEFAULT]}
    found.keep_up(stages)
    assert set(stages) == {"llm"}
    wanted.add(OWN)
    found.keep_up(stages)
    assert stages == {"llm": backends[DEFAULT], OWN: backends[OWN]}
    wanted.remove(OWN)
    found.keep_up(stages)
    assert set(stages) == {"llm"}


def test_the_health_says_who_answers_and_how_to_mend_it(backends: dict[str, Backend]) -> None:
    found = models(backends, Told())
    found.keep_up({})
    missing = EngineState(OWN, "unavailable", "It is not deployed.", ADD_IT)
    failed = EngineState(OWN, "unavailable", "It could not be started.", "Look closer.")
    ready = EngineState("ollama", "ready")
    asr = EngineState("asr", "unavailable", "It is not deployed.", ADD_IT)
    told = found.told({OWN: missing, "asr": asr})
    assert told["asr"] == asr
    assert told[OWN].state == "degraded"
    assert "default model answers" in told[OWN].reason
    assert "tutor tutors deploy" in told[OWN].remedy
    assert found.told({OWN: failed})[OWN].remedy == "Look closer."
    assert found.told({OWN: ready})[OWN] == ready
