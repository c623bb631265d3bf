"""Whose a name is, while several ask for it, and when the engine refuses it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete

from tests.running import free_port
from tests.web_server.schools import move_in, settings_for
from web_server.access import School
from web_server.app import opened
from web_server.engine import AWAY
from web_server.errors import EngineAway, EngineRefused, NotFound, Taken
from web_server.tables import VoiceRow
from web_server.voices import VOICES


@dataclass(frozen=True)
class Scene:
    school: School
    ada: int
    bo: int

    async def owners(self) -> dict[str, int]:
        return await VOICES.owners(self.school)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    settings = settings_for(tmp_path, f"http://127.0.0.1:{free_port()}")
    people = await move_in(settings)
    async with opened(settings) as school:
        yield Scene(school, people[people.ada], people[people.bo])


def refused() -> EngineRefused:
    return EngineRefused(409, "The engine has one of that name.")


async def test_a_name_is_one_tenants_in_any_capitals(scene: Scene) -> None:
    async with VOICES.claimed(scene.school, scene.ada, "Emma"):
        with pytest.raises(Taken):
            async with VOICES.claimed(scene.school, scene.bo, "EMMA"):
                pytest.fail("It is somebody else's.")
    assert await scene.owners() == {"emma": scene.ada}
    assert await VOICES.own(scene.school, scene.ada, "eMMa") == "Emma"
    for asked in (VOICES.own, VOICES.demand_visible):
        with pytest.raises(NotFound):
            await asked(scene.school, scene.bo, "emma")
    await VOICES.demand_visible(scene.school, scene.bo, "nobodys")


async def test_what_the_engine_refuses_is_nobodys_again(scene: Scene) -> None:
    with pytest.raises(EngineRefused):
        async with VOICES.claimed(scene.school, scene.ada, "Emma"):
            raise refused()
    assert await scene.owners() == {}


async def test_what_the_engine_may_have_made_stays_the_tenants(scene: Scene) -> None:
    with pytest.raises(EngineAway):
        async with VOICES.claimed(scene.school, scene.ada, "Emma"):
            raise EngineAway(AWAY)
    assert await scene.owners() == {"emma": scene.ada}


async def test_a_try_that_is_refused_takes_nothing_from_one_that_was_not(scene: Scene) -> None:
    with pytest.raises(EngineRefused):
        async with VOICES.claimed(scene.school, scene.ada, "Emma"):
            async with VOICES.claimed(scene.school, scene.ada, "Emma"):
                pass  # the engine took this one meanwhile
            raise refused()
    assert await scene.owners() == {"emma": scene.ada}


async def test_what_was_given_back_in_the_meantime_is_claimed_again(scene: Scene) -> None:
    mine = VOICES.claimed(scene.school, scene.ada, "Emma")
    async with mine, scene.school.database.writing() as rows:
        await rows.execute(delete(VoiceRow))
    assert await scene.owners() == {"emma": scene.ada}


async def test_what_has_been_had_for_long_is_not_lost_by_a_refusal(scene: Scene) -> None:
    async with VOICES.claimed(scene.school, scene.ada, "Emma"):
        pass
    with pytest.raises(EngineRefused):
        async with VOICES.claimed(scene.school, scene.ada, "emma"):
            raise refused()
    assert await scene.owners() == {"emma": scene.ada}
