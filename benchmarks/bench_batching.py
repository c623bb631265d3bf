"""What it brings that a language model in this process writes all answers at once.

The model has 256 channels, so that it fits every machine, and says the last word of its prompt for
ever, so that all answers have the same length.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import median, report
from engines.base import Message
from engines.llm.options import LlmOptions
from engines.llm.transformers import Placement, TransformersLlm

SESSIONS = 8
TOKENS = 150
ROUNDS = 5
LONG_WORDS = 600
QUESTION = "Say it again and again"
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


async def answer(llm: TransformersLlm, question: str = QUESTION) -> None:
    async for _ in llm.reply([Message("user", question)]):
        pass


async def first_ms(llm: TransformersLlm, question: str = QUESTION) -> float:
    """Milliseconds until the first piece of an answer, which is then given up."""
    began_s = time.perf_counter()
    async with aclosing(llm.reply([Message("user", question)])) as pieces:
        await anext(pieces)
        return (time.perf_counter() - began_s) * 1000


async def longest_gap_ms(llm: TransformersLlm) -> float:
    """Milliseconds between two pieces of an answer, at the worst."""
    longest_s, last_s = 0.0, None
    async with aclosing(llm.reply([Message("user", QUESTION)])) as pieces:
        async for _ in pieces:
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - (last_s or now_s))
            last_s = now_s
    return longest_s * 1000


async def rate(llm: TransformersLlm, run: Callable[[TransformersLlm], Awaitable[None]]) -> float:
    """Tokens a second of eight answers."""
    rates = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        await run(llm)
        rates.append(SESSIONS * TOKENS / (time.perf_counter() - began_s))
    return median(rates)


async def one_by_one(llm: TransformersLlm) -> None:
    for _ in range(SESSIONS):
        await answer(llm)


async def together(llm: TransformersLlm) -> None:
    await asyncio.gather(*(answer(llm) for _ in range(SESSIONS)))


async def beside_seven(llm: TransformersLlm, measured: Callable[[int], Awaitable[float]]) -> float:
    """What is measured, at the median, while seven others are being answered."""
    values = []
    for index in range(ROUNDS):
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(answer(llm)) for _ in range(SESSIONS - 1)]
            await asyncio.sleep(0.05)
            values.append(await measured(index))
            for other in others:
                other.cancel()
    return median(values)


async def gap_beside_a_long_prompt(llm: TransformersLlm, index: int) -> float:
    async with asyncio.TaskGroup() as tasks:
        gap = tasks.create_task(longest_gap_ms(llm))
        await asyncio.sleep(0.05)
        # No other has begun so: it must be read whole.
        await first_ms(llm, f"{index} " + "long " * LONG_WORDS + QUESTION)
    return gap.result()


async def measure(llm: TransformersLlm) -> None:
    await together(llm)  # warm
    single, batched = await rate(llm, one_by_one), await rate(llm, together)
    report("llm_tokens_8_together", batched, "tokens/s", control=single, goal="ratio ≥ 3")

    alone = median([await first_ms(llm, f"{n} alone. {QUESTION}") for n in range(ROUNDS)])
    beside = await beside_seven(llm, lambda n: first_ms(llm, f"{n} beside. {QUESTION}"))
    report("llm_first_token_beside_7", beside, "ms", control=alone, goal="≤ 100 ms")

    calm = await beside_seven(llm, lambda _: longest_gap_ms(llm))
    disturbed = await beside_seven(llm, lambda n: gap_beside_a_long_prompt(llm, n))
    report("llm_gap_beside_a_long_prompt", disturbed, "ms", control=calm, goal="≤ 150 ms")


def main() -> None:
    import torch

    from tests.tiny_llm import make_tiny_llm

    torch.set_num_threads(1)  # the model is too small for more
    with TemporaryDirectory() as folder:
        make_tiny_llm(Path(folder), channels=256, layers=4, trained=False, template=TEMPLATE)
        options = LlmOptions(temperature=0.0, max_tokens=TOKENS)
        llm = TransformersLlm.load(folder, options, Placement(device="cpu", sessions=SESSIONS + 1))
        asyncio.run(measure(llm))


if __name__ == "__main__":
    main()
