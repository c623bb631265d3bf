"""A voice on trial: one short sentence, for whoever chooses a voice before anybody is taught with
it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from engines.base import Audio, Tts, Voice
from engines.errors import EngineBusy, EngineTimeout, EngineUnavailable
from engines.sound import joined, part

AT_ONCE = 2
"""On one gateway. Whoever chooses a voice must not take it from those who are being taught."""

LIMIT_S = 20.0
"""Until the sentence is there as a whole: XTTS on a processor needs a good ten."""

LONGEST_S = 15.0
"""Of sound. At half the pace the longer sentence takes nine."""

USUAL = "en"

SENTENCES = {
    "en": "Let us look at this question together, calmly, one step at a time.",
    "zh": "我们一起来看这个问题，不用着急，一步一步地弄明白。",
}
"""One of each language that every engine speaks; each engine tells by the letters which it is."""


class Samples:
    """Speaks with the voices that the turns speak with."""

    def __init__(self, speak: Tts) -> None:
        self._speak = speak
        self._free = AT_ONCE

    async def of(self, voice: Voice, language: str | None) -> Audio:
        """The sentence of that language (ISO 639-1), or the English one. Raises `EngineError`."""
        if not self._free:
            raise EngineBusy("Other voices are being listened to. Try again in a few seconds.")
        self._free -= 1
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._spoken(SENTENCES.get(language or USUAL, SENTENCES[USUAL]), voice)
        except TimeoutError as late:
            raise EngineTimeout(
                f"The voice did not say its sentence within {LIMIT_S:g} s. Try again in a while."
            ) from late
        finally:
            self._free += 1

    async def _spoken(self, sentence: str, voice: Voice) -> Audio:
        spoken: list[Audio] = []
        speech = cast(AsyncGenerator[Audio, None], self._speak.speak(sentence, voice))
        async with aclosing(speech) as pieces:
            async for piece in pieces:
                spoken.append(piece)
                if sum(each.seconds for each in spoken) >= LONGEST_S:
                    break
        if not spoken:
            raise EngineUnavailable("The voice said nothing. `tutor status` says how it is.")
        sound = joined(spoken)
        return part(sound, 0, round(LONGEST_S * sound.rate_hz))
