"""What goes wrong with a speech model, in a sentence: CTranslate2, the hub and the system have no
errors in common."""

from engines.errors import EngineUnavailable


def first_line(error: BaseException) -> str:
    """Of the message, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")


def is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "alloc_failed" in text


def cannot_load(model: str, error: BaseException) -> EngineUnavailable:
    return EngineUnavailable(
        f"The speech model `{model}` could not be loaded ({first_line(error)}); check that"
        " WHISPER_MODEL is a Whisper model in CTranslate2 format that fits this machine."
    )
