"""Who is told that a session has ended, whatever ends while the switchboard looks."""

from typing import cast

from serve_app.sessions import Sessions
from serve_app.switchboard import Line, Switchboard


class EndedInBetween:
    """Of a session that lives at the first question, and is gone at the second."""

    async def living(self, session_ids: set[str]) -> set[str]:
        return session_ids

    async def living_students(self, student_ids: set[int]) -> set[int]:
        return set()


async def test_the_last_session_is_told_before_its_socket_closes() -> None:
    board = Switchboard(cast(Sessions, EndedInBetween()))
    line = Line(student_id=1, whole_student=True, session_ids={"one"})
    with board.connected(line):
        await board._look()
        await board._look()  # and once only
    assert [line.ended.get_nowait() for _ in range(line.ended.qsize())] == ["one", None]
