"""The tutor without a language model: answers from the course; where there is none, says plainly
what is missing, and how to connect it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from engines.base import Message
from engines.language import language_of
from engines.llm.course.answering import answer_from_course

ENGLISH = (
    "I heard you: “{question}” "
    "I cannot answer yet, because no language model is connected to me. "
    "{remedy} "
    "Then ask me again, and I will gladly help you."
)
CHINESE = (
    "我听到了：“{question}”"
    "可是我还不能回答，因为没有连接语言模型。"
    "{remedy}"
    "然后请再问我一次，我很乐意帮助你。"
)
REMEDY_ENGLISH = "Start Ollama, and pull the model “{model}”."
REMEDY_CHINESE = "请启动Ollama，并下载模型“{model}”。"
REMEDY_DISABLED_ENGLISH = "Set ENABLE_LLM to true, and start the engine again."
REMEDY_DISABLED_CHINESE = "请把ENABLE_LLM设为true，并重新启动引擎。"

MAX_ECHO_CHARS = 120
"""Longer questions are not repeated whole."""


class OfflineLlm:
    """Quotes the course that comes with the question; without one it answers, in the learner's
    language, that it cannot think yet."""

    def __init__(self, model: str, *, enabled: bool = True) -> None:
        self._model = model
        self._enabled = enabled

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        question = next((m.content for m in reversed(messages) if m.role == "user"), "")
        from_course = await asyncio.to_thread(answer_from_course, messages)
        text = from_course.text if from_course else self._missing(question)
        for word in text.split(" "):
            yield word + " "

    def _missing(self, question: str) -> str:
        short = question.strip()
        if len(short) > MAX_ECHO_CHARS:
            short = short[:MAX_ECHO_CHARS].rstrip() + "…"
        if language_of(question) == "zh":
            remedy = REMEDY_CHINESE if self._enabled else REMEDY_DISABLED_CHINESE
            return CHINESE.format(question=short, remedy=remedy.format(model=self._model))
        remedy = REMEDY_ENGLISH if self._enabled else REMEDY_DISABLED_ENGLISH
        return ENGLISH.format(question=short, remedy=remedy.format(model=self._model))
