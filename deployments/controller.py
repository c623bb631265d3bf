"""Serve's controller as it is asked from a replica.

Its calls block and know no limit, so they run in a thread of their own: should the controller hang,
nothing else waits for it, and no thread that decodes or encodes for a learner is lost to it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatusOverview

from deployments.resources import Resources, application_details
from engines.errors import EngineUnavailable

Answer = TypeVar("Answer")

ANSWER_LIMIT_S = 5.0
"""A controller that is well answers within a few milliseconds."""


class Controller:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "serve-controller")

    async def handle(self, application: str) -> DeploymentHandle[Any]:
        """Raises `RayServeException` when there is no such application."""
        return await self._ask(lambda: serve.get_app_handle(application))

    async def statuses(self) -> dict[str, ApplicationStatusOverview]:
        """Every application's."""
        return dict((await self._ask(serve.status)).applications)

    async def details(self) -> dict[str, dict[str, Any]]:
        """Every application, as in `ServeInstanceDetails`; some milliseconds of work."""
        return await self._ask(application_details)

    async def resources(self) -> Resources:
        return await self._ask(Resources.now)

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        asked = asyncio.get_running_loop().run_in_executor(self._thread, question)
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await asked
        except TimeoutError as late:
            raise EngineUnavailable(
                "Serve's controller does not answer. Look at `tutor status`, or restart the engine."
            ) from late
