"""The sample course of configs/serve.yaml: at the first start it is there, and is asked."""

import asyncio

import httpx
import pytest

from tests.running import Running, Talk

pytestmark = pytest.mark.parametrize("engine", ["default", "throughput"], indirect=True)

KB = "weather"
LIMIT_S = 120.0
"""Four children are started, on a machine that holds two engines."""


async def read(http: httpx.AsyncClient) -> set[str]:
    """The documents of the course, once all of them are ready."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            listed = (await http.get(f"/v1/knowledge/{KB}/documents")).json()
            states = {each["name"]: each["state"] for each in listed if isinstance(each, dict)}
            assert "failed" not in states.values(), listed
            if len(states) == 4 and set(states.values()) == {"ready"}:
                return set(states)
            await asyncio.sleep(0.2)


async def cited(talk: Talk, question: str) -> set[str]:
    """The documents that an answer is from. A replica that has never opened the base may be late
    for the first question."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            await talk.send(type="text", content=question)
            for event in await talk.until("text"):
                if event["type"] == "sources":
                    return {item["document"] for item in event["items"]}


async def test_the_sample_course_is_read_and_answers_name_it(engine: Running) -> None:
    async with engine.http() as http:
        assert await read(http) == {"weather.md", "the-water-cycle.md", "天气.md", "水循环.md"}
    async with engine.conversation(kb_id=KB) as (_, talk):
        await talk.ask(type="hello", features=["sources"])
        for question, document in {
            "What is fog?": "weather.md",
            "什么是水循环？": "水循环.md",
        }.items():
            assert document in await cited(talk, question), question
