"""The graph as the gateway sees it: which applications there are, and how each of them is."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.serve._private.common import ReplicaState
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview

from deployments.backend import Backend
from deployments.controller import Controller
from deployments.gpu_fit import MAKE_ROOM, unplaced, why_unplaced
from deployments.resources import Resources
from engines.base import EngineState
from engines.errors import EngineError
from foundation.settings import SettingsError

logger = logging.getLogger(__name__)

FRESH_S = 2.0
"""How long a look at the graph counts as fresh; a look costs a few calls between processes."""

ASK_LIMIT_S = 3.0

NAMES_LIMIT_S = 0.3
"""Names ride along with other messages, which must not wait for them."""

ADD_IT = "Add it to configs/serve.yaml and run `serve deploy configs/serve.yaml`."
LOOK_CLOSER = "`tutor status`, or the Ray dashboard, says why."


class Graph:
    """The backends by the name of their stage."""

    def __init__(self, backends: Mapping[str, Backend], controller: Controller) -> None:
        self._backends = backends  # as it is at each look: tutors' models come and go
        self._controller = controller
        self._states: dict[str, EngineState] = {}
        self._looked_s = float("-inf")
        self._looking = asyncio.Lock()

    async def states(self) -> dict[str, EngineState]:
        """The state of every stage, at most `FRESH_S` old."""
        async with self._looking:
            is_old = time.monotonic() - self._looked_s > FRESH_S
            # A stage that came after the last look must not pass for one that is well.
            if is_old or not self._backends.keys() <= self._states.keys():
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
            idle = await self._idle(deployed)
        except EngineError as error:
            return {
                stage: EngineState(backend.application, "unavailable", error.sentence)
                for stage, backend in self._backends.items()
            }
        asked = {
            stage: self._state(backend, deployed.get(backend.application), idle)
            for stage, backend in self._backends.items()
        }
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    async def _idle(self, deployed: Mapping[str, ApplicationStatusOverview]) -> "Idle":
        """Those of our applications of which no replica runs, looked at more closely."""
        ours = {backend.application for backend in self._backends.values()}
        names = [name for name in ours & deployed.keys() if not runs(deployed[name])]
        if not names:
            return Idle({}, None)
        details = await self._controller.details()
        found = {name: details[name] for name in names if name in details}
        return Idle(found, await self._controller.resources())

    async def _state(
        self, backend: Backend, status: ApplicationStatusOverview | None, idle: "Idle"
    ) -> EngineState:
        name = backend.application
        if status is None:
            return EngineState(
                name,
                "unavailable",
                f"The application {name!r} is not deployed.",
                ADD_IT,
            )
        if (known := idle.state(name, status)) is not None:
            return known
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                state: EngineState = await backend.call("state")
                return state
        except (TimeoutError, EngineError):
            reason = f"The application {name!r} is starting or restarting."
            return EngineState(name, "starting", reason, "Wait a moment.")


@dataclass(frozen=True, slots=True)
class Idle:
    """Applications of which no replica runs; asking them would only cost time."""

    details: Mapping[str, Mapping[str, Any]]
    """By name, as in `ServeInstanceDetails`."""
    resources: Resources | None

    def state(self, name: str, status: ApplicationStatusOverview) -> EngineState | None:
        """None when it runs, or may be up in a moment."""
        details = self.details.get(name)
        if details is None:
            return None
        if status.status is ApplicationStatus.DEPLOY_FAILED:
            return EngineState(name, "unavailable", _why_failed(name, status.message), LOOK_CLOSER)
        deployments = (details.get("deployments") or {}).values()
        scaled_to_none = not any(each.get("target_num_replicas", 1) for each in deployments)
        # While it is deployed the target is 0, too, until it has been set.
        if deployments and scaled_to_none and status.status is ApplicationStatus.RUNNING:
            return EngineState(name, "ready", "No replica runs; the first question starts one.")
        return self._unplaced(name, details)

    def _unplaced(self, name: str, details: Mapping[str, Any]) -> EngineState | None:
        needs, there = unplaced(details, time.time()), self.resources
        if not needs or there is None:
            return None
        reason = why_unplaced(name, needs, there.free, there.gpus)
        return EngineState(name, "unavailable", reason, MAKE_ROOM) if reason else None


def runs(status: ApplicationStatusOverview) -> bool:
    """Whether any replica can answer."""
    return any(
        deployment.replica_states.get(ReplicaState.RUNNING)
        for deployment in status.deployments.values()
    )


def _why_failed(name: str, message: str) -> str:
    """Our own sentence where the message, a traceback, ends with one."""
    last = (message.strip().splitlines() or [""])[-1]
    _, ours, sentence = last.partition(f"{SettingsError.__name__}: ")
    return sentence if ours else f"The application {name!r} could not be started."
