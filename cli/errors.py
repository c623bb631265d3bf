"""What can end a command before it has done its work.

CommandError              exit code 1: it could not be done
├── EngineNotRunning      nothing there to talk to
├── StartFailed           the graph did not come up
│   └── CompanionFailed   the engine did, and what belongs beside it did not
├── Refused               the engine said no
└── WrongUsage            exit code 2: asked in a way that cannot be meant
"""


class CommandError(Exception):
    """A sentence a person can act on."""

    exit_code = 1

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(f"{sentence} {remedy}".rstrip())
        self.sentence = sentence
        self.remedy = remedy


class EngineNotRunning(CommandError):
    """Nothing answers at the address."""


class StartFailed(CommandError):
    """The graph did not come up; `details` are the lines that say why."""

    def __init__(self, sentence: str, details: list[str] | None = None, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.details = details or []


class CompanionFailed(StartFailed):
    """The engine runs, but not what was to run beside it."""


class Refused(CommandError):
    """The engine answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.status = status


class WrongUsage(CommandError):
    exit_code = 2
