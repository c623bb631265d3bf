"""The proxy of the whole web server: real accounts, real sessions."""

import pytest
from websockets.exceptions import ConnectionClosed

from tests.running import Running, Talk
from tests.web_server.schools import PASSWORD, People, Site
from tests.web_server.test_student_sessions import new_tutor
from web_server import go_between


def address(site: Site, user_id: int) -> str:
    return f"{site.url.replace('http', 'ws', 1)}/api/ws/proxy/user/{user_id}"


async def closed_with(talk: Talk) -> int | None:
    with pytest.raises(ConnectionClosed):
        while True:
            await talk.receive()
    return talk.socket.close_code


async def test_a_student_speaks_with_two_tutors_over_one_socket(
    site: Site, people: People, gateway: Running
) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        sessions = []
        for name in ("Tess", "Tim"):
            wish = {"tutor_id": await new_tutor(admin, name=name)}
            sessions.append((await student.post("/api/student/sessions", json=wish)).json())
        token = await site.token(people.ann)
        url = f"{address(site, people[people.ann])}?token={token}"
        async with gateway.talk(url) as talk:
            for session in sessions:
                session_id = session["session_id"]
                answer = await talk.ask(type="text", content="Hi", engine_session_id=session_id)
                assert (answer["type"], answer["engine_session_id"]) == ("text", session_id)
                assert answer["audio"]
            for session in sessions:
                await student.delete(f"/api/student/sessions/{session['session_id']}")
            assert await closed_with(talk) == 4404


async def test_nobody_else_is_let_in(site: Site, people: People, gateway: Running) -> None:
    async with site.as_(people.ada) as admin, site.as_(people.ann) as student:
        wish = {"tutor_id": await new_tutor(admin)}
        session = (await student.post("/api/student/sessions", json=wish)).json()
        ann = people[people.ann]
        for email in (people.ada, people.bo, people.ben):
            token = await site.token(email)
            async with gateway.talk(f"{address(site, ann)}?token={token}") as talk:
                assert await closed_with(talk) == 4403
            async with gateway.talk(f"{address(site, people[email])}?token={token}") as talk:
                assert await closed_with(talk) == 4404  # none of them has a session
        for token in ("", "x", session["engine_token"]):
            async with gateway.talk(f"{address(site, ann)}?token={token}") as talk:
                assert await closed_with(talk) == 4401
        await student.delete(f"/api/student/sessions/{session['session_id']}")


async def test_a_changed_password_ends_the_sockets_of_other_logins(
    site: Site, people: People, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go_between, "LOOK_INTERVAL_S", 0.1)
    async with site.as_(people.bo) as admin, site.as_(people.ben) as student:
        wish = {"tutor_id": await new_tutor(admin)}
        session = (await student.post("/api/student/sessions", json=wish)).json()
        elsewhere = await site.token(people.ben)
        url = address(site, people[people.ben])
        async with gateway.talk(f"{url}?token={elsewhere}") as talk:
            assert await talk.ask(type="ping") == {"type": "pong"}
            for old, new in ((PASSWORD, "another long one"), ("another long one", PASSWORD)):
                changed = await student.post("/api/me/password", json={"old": old, "new": new})
                assert changed.status_code == 204
            assert await closed_with(talk) == 4401
        await student.delete(f"/api/student/sessions/{session['session_id']}")
