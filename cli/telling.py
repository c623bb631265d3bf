"""How a command ends that could not do its work."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cli.errors import CommandError, StartFailed
from cli.screen import complain
from foundation.settings import SettingsError

FAILED = 1
WRONG_USAGE = 2


@contextmanager
def told() -> Iterator[None]:
    """Failures as sentences and exit codes; never a traceback for what a person can mend."""
    try:
        yield
    except SettingsError as wrong:
        complain(str(wrong))
        raise typer.Exit(WRONG_USAGE) from wrong
    except CommandError as failed:
        complain(failed.sentence)
        for line in failed.details if isinstance(failed, StartFailed) else []:
            complain(f"  {line}", "")
        if failed.remedy:
            complain(failed.remedy, "yellow")
        raise typer.Exit(failed.exit_code) from failed
    except KeyboardInterrupt as interrupted:
        complain("Interrupted.", "yellow")
        raise typer.Exit(FAILED) from interrupted
