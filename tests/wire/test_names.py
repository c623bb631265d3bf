import unicodedata

import pytest
from pydantic import TypeAdapter, ValidationError

from wire.names import GivenName, is_given_name

NAMES = TypeAdapter(GivenName)


@pytest.mark.parametrize("name", ["a", "Lena Schmidt", "梅老师", "O_k-ay", "नमस्ते"])
def test_names_of_any_script(name: str) -> None:
    assert is_given_name(name)
    assert NAMES.validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".", "..", "../x", "a/b", "a\\b", ".a", "a\n", "a\0", "x" * 49]
)
def test_what_is_no_name_of_a_folder(name: str) -> None:
    assert not is_given_name(name)
    with pytest.raises(ValidationError, match="1 to 48 letters"):
        NAMES.validate_python(name)


def test_both_ways_to_write_a_letter_are_one_name() -> None:
    split = unicodedata.normalize("NFD", "Zoë")
    assert split != "Zoë"
    assert NAMES.validate_python(split) == "Zoë"
