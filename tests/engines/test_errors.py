import pickle

import pytest

from engines import errors
from engines.errors import EngineError

KINDS: list[type[EngineError]] = [EngineError, *EngineError.__subclasses__()]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_sentence_between_processes(kind: type[EngineError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("Do this.")))
    assert (type(copy), copy.sentence) == (kind, "Do this.")


def test_each_is_drawn_and_has_a_code_of_its_own() -> None:
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in drawn] == []
    assert len({kind.code for kind in KINDS}) == len(KINDS)
