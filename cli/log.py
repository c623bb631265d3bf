"""Logs of what runs in the background."""

from pathlib import Path

LIMIT_BYTES = 10 * 1000 * 1000
"""A start after this much log begins a new file and keeps the old one."""

LOOK_BYTES = 64 * 1024
"""Ray names its dashboard, and a failure its reason, well within so much."""


def rotated(log: Path) -> int:
    """Where a new run begins in the log, bytes from its start."""
    size = log.stat().st_size if log.exists() else 0
    if size <= LIMIT_BYTES:
        return size
    log.replace(log.with_name(log.name + ".1"))
    return 0


def written_since(log: Path, offset: int) -> str:
    """The first of what stands there from so many bytes on."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read(LOOK_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def last_of(log: Path, offset: int) -> str:
    """The last of what stands there from so many bytes on."""
    try:
        size = log.stat().st_size
    except OSError:
        return ""
    return written_since(log, max(offset, size - LOOK_BYTES))
