"""The switch of a microphone, in step with its sound."""

import asyncio
from collections.abc import Callable
from typing import Literal

MicrophoneState = Literal["open", "held", "closed"]
"""`open`: speech is detected; `held`: a key is down while the learner speaks; `closed`."""


class Switch:
    """Passes states on when the sound from before them has come."""

    def __init__(self, pass_on: Callable[[MicrophoneState], None]) -> None:
        self._pass_on = pass_on
        self._latest: MicrophoneState = "open"
        self._due_s = 0.0

    def turn(self, state: MicrophoneState, sound_behind_s: float) -> None:
        """A key that goes up waits for the last sound, which is this far behind; nothing
        overtakes it."""
        loop = asyncio.get_running_loop()
        releases = self._latest == "held" and state != "held"
        self._due_s = max(self._due_s, loop.time() + (sound_behind_s if releases else 0.0))
        self._latest = state
        loop.call_at(self._due_s, self._pass_on, state)
