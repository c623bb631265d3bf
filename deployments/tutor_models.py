"""The language models that single tutors have: found by name when first needed, and stood in for by
the default model while they cannot answer."""

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import replace

from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from deployments.backend import Backend
from deployments.controller import Controller
from deployments.graph import ADD_IT, runs
from deployments.remote import RemoteLlm
from engines.base import EngineState, Message
from engines.errors import EngineError, EngineUnavailable

logger = logging.getLogger(__name__)

LOOK_LIMIT_S = 1.0
"""How long a turn waits to be told whether its model is there; then it just tries."""

DEPLOY_IT = "`tutor tutors deploy` deploys it; `tutor tutors list` shows which tutors want it."
STANDING_IN = "The default model answers for its tutors."


class TutorModels:
    """By the name of their application."""

    def __init__(
        self,
        default: Backend,
        backend: Callable[[str], Backend],
        controller: Controller,
        wanted: Callable[[], Collection[str]],
    ) -> None:
        """`wanted` are the applications that the tutors of this moment ask for; the default one may
        be among them."""
        self._default = default
        self._backend = backend
        self._controller = controller
        self._wanted = wanted
        self._backends: dict[str, Backend] = {}
        self._trusted: set[str] = set()
        """Those that could answer when last looked at. A look takes some 40 ms of a turn; whether
        an application is there at all, 1 ms."""

    def of(self, application: str) -> "RemoteLlm | TutorLlm":
        if application == self._default.application:
            return RemoteLlm(self._default)
        if application not in self._backends:
            self._backends[application] = self._backend(application)
        own = self._backends[application]
        return TutorLlm(self, RemoteLlm(own), RemoteLlm(self._default), application)

    def keep_up(self, stages: MutableMapping[str, Backend]) -> None:
        """Put those that are wanted now among the stages of the graph, and take out the others."""
        wanted = set(self._wanted()) - {self._default.application}
        for gone in self._backends.keys() - wanted:
            del self._backends[gone]
            stages.pop(gone, None)
            self.doubt(gone)
        for application in sorted(wanted):
            self.of(application)
            stages[application] = self._backends[application]

    def told(self, states: Mapping[str, EngineState]) -> dict[str, EngineState]:
        """The states of all stages, with what it means that a tutor's model cannot answer."""
        return {
            stage: _stood_in_for(state) if stage in self._backends else state
            for stage, state in states.items()
        }

    async def lack(self, application: str) -> str:
        """Why an application cannot answer now, in a sentence; empty when it can."""
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                if application in self._trusted:
                    await self._controller.handle(application)
                    return ""
        except (TimeoutError, EngineError):
            return ""  # then it is tried; nobody knows better
        except RayServeException:
            self.doubt(application)
        return await self._look(application)

    def doubt(self, application: str) -> None:
        """It has not answered: look closely before it is asked again."""
        self._trusted.discard(application)

    async def _look(self, application: str) -> str:
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                deployed = await self._controller.statuses()
        except (TimeoutError, EngineError):
            return ""
        lack = _lack(application, deployed.get(application))
        if not lack:
            self._trusted.add(application)
        return lack


def _lack(application: str, found: ApplicationStatusOverview | None) -> str:
    if found is None:
        return f"The application {application!r} is not deployed."
    if found.status in (ApplicationStatus.DEPLOY_FAILED, ApplicationStatus.DELETING):
        return f"The application {application!r} is not running ({found.status.value})."
    # One that is RUNNING without a replica has been scaled to zero: a question starts one.
    if found.status is ApplicationStatus.DEPLOYING and not runs(found):
        return f"The application {application!r} is starting."
    return ""


class TutorLlm:
    """A tutor's own model, or the default one while there is none."""

    def __init__(
        self, models: TutorModels, own: RemoteLlm, default: RemoteLlm, application: str
    ) -> None:
        self._models = models
        self._own = own
        self._default = default
        self._application = application

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """It changes to the default model only while nothing has been said."""
        lack = await self._models.lack(self._application)
        if not lack:
            begun = False
            try:
                async with aclosing(self._own.reply(messages)) as tokens:
                    async for token in tokens:
                        begun = True
                        yield token
                return
            except EngineUnavailable as gone:
                self._models.doubt(self._application)
                if begun:
                    raise
                lack = gone.sentence
        logger.warning("%s The default model answers instead. %s", lack, DEPLOY_IT)
        async with aclosing(self._default.reply(messages)) as tokens:
            async for token in tokens:
                yield token


def _stood_in_for(state: EngineState) -> EngineState:
    if state.state == "starting":
        return replace(state, reason=f"{state.reason} {STANDING_IN}")
    if state.state != "unavailable":
        return state
    # What is missing altogether is deployed; whatever else there is has a remedy of its own.
    remedy = DEPLOY_IT if state.remedy == ADD_IT else state.remedy
    return replace(state, state="degraded", reason=f"{state.reason} {STANDING_IN}", remedy=remedy)
