"""Whose cancellation is it: this task's own, or one that came out of an engine?"""

import asyncio
from typing import NoReturn

from engines.errors import EngineUnavailable


def raise_unless_cancelled(stopped: asyncio.CancelledError, who: str) -> NoReturn:
    """Re-raise this task's own cancellation; one that came out of an engine is `EngineUnavailable`.

    A TaskGroup would take the latter for a task that ended well, and wait for its results for ever.
    """
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise stopped
    raise EngineUnavailable(f"{who} was stopped in the middle. Try again.") from stopped
