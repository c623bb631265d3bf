"""How a language model is to write, whichever server holds it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LlmOptions:
    temperature: float = 0.4
    max_tokens: int = 1024
    """The longest answer: some five minutes of speech. What is thought beforehand counts."""
    context_tokens: int | None = None
    """Conversation and answer together; None: what the model has, at most 8192."""
    stop: tuple[str, ...] = ()
    """The answer ends before any of these."""
    think: bool = False
    """Whether a model that can think before it answers does; the learner waits meanwhile."""
