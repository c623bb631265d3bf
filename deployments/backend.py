"""A Serve application as seen from another one: found by name, waited for, and always let go.

What a caller may rely on: a stream from a handle is cancelled when its consumer leaves (Serve does
not do that by itself), a backend that is missing or restarting is waited for or named, and every
failure is an `EngineError`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException, RequestCancelledError
from ray.serve.handle import DeploymentHandle

from deployments.controller import Controller
from engines.cancellation import raise_unless_cancelled
from engines.errors import EngineError, EngineUnavailable

logger = logging.getLogger(__name__)

RETRY_INTERVAL_S = 0.25


class Backend:
    """One application, by its name; its handle is looked up when first needed. `wait_s` is how long
    a call waits for it while it is missing or restarting."""

    def __init__(self, application: str, wait_s: float, controller: Controller) -> None:
        self.application = application
        self._wait_s = wait_s
        self._controller = controller
        self._handle: DeploymentHandle[Any] | None = None
        self._streaming: DeploymentHandle[Any] | None = None

    async def call(self, method: str, *args: object) -> Any:
        """One answer. A replica that dies before it has answered is tried again."""
        deadline_s = time.monotonic() + self._wait_s
        while True:
            handle = await self._found(deadline_s)
            response = getattr(handle, method).remote(*args)
            try:
                return await response
            except asyncio.CancelledError as stopped:
                response.cancel()
                self._forget()
                # Ray tells of a call that was cancelled elsewhere by this very exception.
                raise_unless_cancelled(stopped, f"The application {self.application!r}")
            except Exception as error:
                await self._wait_or_raise(error, deadline_s)

    async def stream(self, method: str, *args: object) -> AsyncGenerator[Any, None]:
        """The items of a stream. It is begun again only while nothing has come yet."""
        deadline_s = time.monotonic() + self._wait_s
        while True:
            handle = await self._found(deadline_s)
            # Made once: a handle made anew for each stream has its router to set up first.
            self._streaming = self._streaming or handle.options(stream=True)
            items = getattr(self._streaming, method).remote(*args)
            begun = False
            try:
                async for item in items:
                    begun = True
                    yield item
                return
            except asyncio.CancelledError:
                if not begun:
                    self._forget()
                raise
            except Exception as error:
                await self._wait_or_raise(error, 0.0 if begun else deadline_s)
            finally:
                items.cancel()

    def _forget(self) -> None:
        """Look the handle up again next time: one to a deployment that has gone waits for ever."""
        self._handle = self._streaming = None

    async def _found(self, deadline_s: float) -> DeploymentHandle[Any]:
        while self._handle is None:
            try:
                self._handle = await self._controller.handle(self.application)
            except RayServeException as missing:
                await self._wait_or_raise(missing, deadline_s)
        return self._handle

    async def _wait_or_raise(self, error: Exception, deadline_s: float) -> None:
        """Return when another try is worth it. Raises `EngineError`."""
        if not is_absence(error):
            _raise_engine_error(error, self.application)
        self._forget()
        if time.monotonic() > deadline_s:
            raise EngineUnavailable(
                f"The application {self.application!r} is not running. Look at `tutor status`, "
                "and at configs/serve.yaml if it is not listed there."
            ) from error
        logger.info("Waiting for the application %r: %s", self.application, type(error).__name__)
        await asyncio.sleep(RETRY_INTERVAL_S)


def is_absence(error: BaseException) -> bool:
    """Whether this failure means that the backend is not there (yet, or any more)."""
    if isinstance(error, RayTaskError | RequestCancelledError):
        return False  # it is there, and has answered with its own failure
    # RayServeException holds BackPressureError and DeploymentUnavailableError; RayError the death
    # of an actor, also where gRPC noticed it.
    return isinstance(error, RayServeException | RayError)


def _raise_engine_error(error: Exception, application: str) -> NoReturn:
    """Translate what came through a handle; the engine's own errors pass as they are."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, EngineError):
        raise cause from error
    logger.error("The application %r failed", application, exc_info=error)
    raise EngineError(
        f"The application {application!r} failed; its log (Ray dashboard, or `tutor status`) says "
        "why. Try again."
    ) from error
