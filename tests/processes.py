"""Looking at processes that may end at any moment, also while they are looked at."""

import psutil


def command(process: psutil.Process) -> str:
    """Its command line; empty when it has ended, cleared away by its parent or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def lives(process: psutil.Process) -> bool:
    """Nobody but its parent could clear away what is left of one that has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
