"""The tutors in section 1 of docs/wire.md."""

from collections.abc import AsyncIterator

import pytest

from tests.running import Running

ADA = {"name": "Ada", "face": "david", "prompt": "You are {name}.", "outside": "general"}
FIELDS = {
    "id",
    "name",
    "language",
    "prompt",
    "model",
    "voice",
    "face",
    "vocabulary",
    "kb",
    "outside",
    "source",
    "notes",
}


@pytest.fixture
async def gone(engine: Running) -> AsyncIterator[None]:
    """What a test gives is taken back."""
    yield
    async with engine.http() as http:
        for tutor_id in (2, 4001):
            await http.delete(f"/v1/tutors/{tutor_id}")


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("prefix", ["/v1", "/mgmt/v1"])
async def test_a_tutor_from_its_making_to_its_end(engine: Running, prefix: str) -> None:
    async with engine.http() as http:
        url = f"{prefix}/tutors/4001"
        assert (await http.get(url)).status_code == 404
        made = await http.put(url, json=ADA)
        assert made.status_code == 200
        body = made.json()
        assert set(body) == FIELDS
        assert {key: body[key] for key in ADA} == ADA
        assert (body["id"], body["source"], body["notes"]) == (4001, "rest", [])
        assert (await http.get(url)).json() == body
        listed = {one["id"]: one for one in (await http.get(f"{prefix}/tutors")).json()}
        assert listed[4001] == body
        assert {listed[tutor_id]["source"] for tutor_id in (1, 2, 3)} == {"file"}
        assert list(listed) == sorted(listed)
        assert (await http.delete(url)).status_code == 204
        assert (await http.get(url)).status_code == 404
        assert (await http.delete(url)).status_code == 404


@pytest.mark.usefixtures("gone")
async def test_a_given_tutor_hides_the_files_until_it_is_deleted(engine: Running) -> None:
    async with engine.http() as http:
        refused = await http.delete("/v1/tutors/2")
        assert refused.status_code == 409
        assert "tutor tutors remove 2" in refused.json()["detail"]
        await http.put("/v1/tutors/2", json=ADA)
        assert (await http.get("/v1/tutors/2")).json()["name"] == "Ada"
        assert (await http.delete("/v1/tutors/2")).status_code == 204
        back = (await http.get("/v1/tutors/2")).json()
        assert (back["name"], back["source"]) == ("Anna", "file")


@pytest.mark.usefixtures("gone")
async def test_it_answers(engine: Running) -> None:
    async with engine.http() as http:
        await http.put("/v1/tutors/4001", json=ADA)
    async with engine.conversation(tutor_id=4001) as (_, talk):
        answer = await talk.ask(type="text", content="Hello", avatar_id="avatar_tutor_4001")
        assert answer["type"] == "video"
        assert answer["content"].strip()


@pytest.mark.parametrize("engine", ["default", "throughput"], indirect=True)
@pytest.mark.usefixtures("gone")
async def test_a_model_that_is_not_deployed_is_stood_in_for(engine: Running) -> None:
    async with engine.http() as http:
        made = (await http.put("/v1/tutors/4001", json={**ADA, "model": "none:1b"})).json()
        assert "tutor tutors deploy" in made["notes"][0]
    async with engine.conversation(tutor_id=4001) as (_, talk):
        assert (await talk.ask(type="text", content="Hello"))["content"].strip()


@pytest.mark.parametrize(
    ("wish", "told"),
    [({"face": "bob"}, "anna"), ({"face": "mei", "voice": {"name": "nobody"}}, "GET /v1/voices")],
)
async def test_a_wrong_one_is_refused_with_what_there_is(
    engine: Running, wish: dict[str, object], told: str
) -> None:
    async with engine.http() as http:
        refused = await http.put("/v1/tutors/4001", json=wish)
    assert refused.status_code == 422
    assert told in refused.json()["detail"]
