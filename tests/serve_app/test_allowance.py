from serve_app.allowance import Allowance


def test_a_burst_then_the_rate() -> None:
    allowance = Allowance(rate=10, burst=3, now_s=0)
    assert [allowance.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(0.1)
    assert not allowance.take(0.1)


def test_quiet_time_fills_it_up_but_not_beyond_the_burst() -> None:
    allowance = Allowance(rate=10, burst=3, now_s=0)
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]
