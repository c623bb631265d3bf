"""Work that may wait gives way to lessons."""

import os
import sys
import threading

NICENESS = 10
"""Lessons come first."""


def step_back() -> None:
    """To be called first by a thread of long work; what it starts steps back as well."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
