"""The nearest of many vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.knowledge import index_vectors
from engines.knowledge.base import Vectors
from engines.knowledge.index_vectors import Halves, VectorTable


def vectors(count: int, seed: int = 0, size: int = 64) -> Halves:
    made = np.random.default_rng(seed).standard_normal((count, size))
    unit: Halves = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16)
    return unit


def asked(vector: Halves) -> Vectors:
    return vector.astype(np.float32)


def test_the_nearest_comes_first() -> None:
    made = vectors(50)
    table = VectorTable().changed([], [(range(100, 150), made)])
    near = table.near(asked(made[7]), 3)
    assert near.rows[0] == 107
    assert near.likeness[0] == pytest.approx(1, abs=2e-3)
    assert list(near.likeness) == sorted(near.likeness, reverse=True)
    assert abs(near.mean) < 0.1 < near.deviation


def test_fewer_than_wanted() -> None:
    made = vectors(2)
    table = VectorTable().changed([], [(range(2), made)])
    assert sorted(table.near(asked(made[0]), 30).rows) == [0, 1]


@pytest.mark.parametrize("size", [64, 100, 384])
def test_a_sketch_finds_what_comparing_all_finds(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among vectors that are all alike, as the texts of a course are."""
    course = asked(vectors(1, 1, size)[0])
    made = asked(vectors(3000, 2, size)) + course
    question = asked(vectors(1, 3, size)[0]) + course
    meant = [5, 999, 1000, 2000, 2999]
    made[meant] += np.array([[5], [4], [3], [2], [1.5]]) * question
    made = made / np.linalg.norm(made, axis=1, keepdims=True)
    table = VectorTable().changed([], [(range(3000), made.astype(np.float16))])
    exact = table.near(question, 5)
    monkeypatch.setattr(index_vectors, "EXACT_ROWS", 1000)
    sketched = table.near(question, 5)
    assert sketched.rows.tolist() == exact.rows.tolist() == meant
    assert sketched.likeness == pytest.approx(exact.likeness, abs=1e-3)
    assert (sketched.mean, sketched.deviation) == (exact.mean, exact.deviation)


def test_only_rows_with_vectors_have_a_likeness() -> None:
    made = vectors(3)
    table = VectorTable().changed([], [(range(10, 13), made)])
    alike = table.likeness([12, 5, 10], asked(made[2]))
    assert alike.keys() == {10, 12}
    assert alike[12] == pytest.approx(1, abs=2e-3)


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=8))
def test_documents_come_and_go(steps: list[tuple[int, bool]]) -> None:
    table, held, row = VectorTable(), dict[range, Halves](), 0
    for count, drops in steps:
        gone = [next(iter(held))] if drops and held else []
        new = range(row, row + count)
        made = vectors(count, row)
        table = table.changed(gone, [(new, made)])
        held = {rows: kept for rows, kept in held.items() if rows not in gone} | {new: made}
        row += count
    assert table.rows.tolist() == [each for rows in held for each in rows]
    if held:
        assert np.array_equal(table.vectors, np.concatenate([*held.values()]))


def test_a_table_that_is_searched_does_not_change() -> None:
    made = vectors(4)
    table = VectorTable().changed([], [(range(4), made)])
    table.changed([range(4)], [])
    assert table.near(asked(made[1]), 1).rows[0] == 1
