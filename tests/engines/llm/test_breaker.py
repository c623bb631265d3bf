from engines.llm.breaker import FAILURES, FIRST_REST_S, LONGEST_REST_S, Breaker


def failed(breaker: Breaker, *at_s: float) -> Breaker:
    for moment_s in at_s:
        breaker = breaker.failed(moment_s)
    return breaker


def test_fewer_failures_leave_it_closed() -> None:
    breaker = failed(Breaker(), *[0.0] * (FAILURES - 1))
    assert breaker.allows(0)


def test_the_third_in_a_row_brings_a_rest() -> None:
    breaker = failed(Breaker(), 0, 1, 2)
    assert not breaker.allows(2)
    assert not breaker.allows(2 + FIRST_REST_S - 0.01)
    assert breaker.allows(2 + FIRST_REST_S)


def test_an_answer_between_them_forgets_all() -> None:
    assert failed(failed(Breaker(), 0, 1).succeeded(), 2, 3).allows(3)


def test_the_rests_grow_up_to_the_longest() -> None:
    breaker, now_s, rests = failed(Breaker(), 0, 0), 0.0, []
    for _ in range(6):
        breaker = breaker.failed(now_s)
        rests.append(breaker.rests_until_s - now_s)
        now_s = breaker.rests_until_s
    assert rests == [5, 10, 20, 30, 30, 30]
    assert max(rests) == LONGEST_REST_S


def test_failures_that_come_in_during_a_rest_do_not_lengthen_it() -> None:
    resting = failed(Breaker(), 0, 0, 0)
    assert failed(resting, *[1.0] * 10) == resting
