"""A course is for those who know of it: `sources` is granted, and a base that there is not disturbs
nobody."""

from tests.running import Running, Talk

NO_BASE = "kb-that-nobody-made"


async def types(talk: Talk, content: str) -> list[str]:
    await talk.send(type="text", content=content)
    return [event["type"] for event in await talk.until("text")]


async def test_a_client_without_hello_never_hears_of_a_missing_base(engine: Running) -> None:
    async with engine.conversation(kb_id=NO_BASE) as (_, talk):
        for question in ("Why does it rain?", "And why?"):
            assert await types(talk, question) == ["text"]
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_who_asks_for_sources_is_told_once_that_there_is_no_course(engine: Running) -> None:
    async with engine.conversation(kb_id=NO_BASE) as (_, talk):
        hello = await talk.ask(type="hello", features=["sources"])
        assert hello["features"] == ["sources"]
        await talk.send(type="text", content="Why does it rain?")
        hint, answer = await talk.until("text")
        assert (hint["type"], hint["code"]) == ("error", "degraded")
        assert answer["content"].strip()
        assert await types(talk, "Why does it snow?") == ["text"]


async def test_without_a_course_there_are_no_sources(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await talk.ask(type="hello", features=["sources"])
        assert await types(talk, "Why does it rain?") == ["text"]
