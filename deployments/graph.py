"""The graph as the gateway sees it: which applications there are, and how each of them is."""

import asyncio
import logging
import time
from collections.abc import Mapping

from ray.serve.schema import ApplicationStatus

from deployments.backend import Backend
from deployments.controller import Controller
from engines.base import EngineState
from engines.errors import EngineError

logger = logging.getLogger(__name__)

FRESH_S = 2.0
"""How long a look at the graph counts as fresh; a look costs a few calls between processes."""

ASK_LIMIT_S = 3.0

NAMES_LIMIT_S = 0.3
"""Names ride along with other messages, which must not wait for them."""


class Graph:
    """The backends by the name of their stage."""

    def __init__(self, backends: Mapping[str, Backend], controller: Controller) -> None:
        self._backends = dict(backends)
        self._controller = controller
        self._states: dict[str, EngineState] = {}
        self._looked_s = float("-inf")
        self._looking = asyncio.Lock()

    async def states(self) -> dict[str, EngineState]:
        """The state of every stage, at most `FRESH_S` old."""
        async with self._looking:
            if time.monotonic() - self._looked_s > FRESH_S:
                self._states = await self._look()
                self._looked_s = time.monotonic()
            return self._states

    async def names(self) -> dict[str, str]:
        """The engine of every stage as far as it is known, without waiting for one that is
        restarting."""
        try:
            async with asyncio.timeout(NAMES_LIMIT_S):
                await self.states()
        except TimeoutError:
            pass
        known = {stage: backend.application for stage, backend in self._backends.items()}
        return known | {stage: state.engine for stage, state in self._states.items()}

    async def _look(self) -> dict[str, EngineState]:
        try:
            deployed = await self._controller.statuses()
        except EngineError as error:
            return {
                stage: EngineState(backend.application, "unavailable", error.sentence)
                for stage, backend in self._backends.items()
            }
        asked = {
            stage: self._state(backend, deployed.get(backend.application))
            for stage, backend in self._backends.items()
        }
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    async def _state(self, backend: Backend, status: ApplicationStatus | None) -> EngineState:
        name = backend.application
        if status is None:
            return EngineState(
                name,
                "unavailable",
                f"The application {name!r} is not deployed.",
                "Add it to configs/serve.yaml and run `serve deploy configs/serve.yaml`.",
            )
        if status is ApplicationStatus.DEPLOY_FAILED:
            return EngineState(
                name,
                "unavailable",
                f"The application {name!r} could not be started.",
                "`tutor status`, or the Ray dashboard, says why.",
            )
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                state: EngineState = await backend.call("state")
                return state
        except (TimeoutError, EngineError):
            reason = f"The application {name!r} is starting or restarting."
            return EngineState(name, "starting", reason, "Wait a moment.")
