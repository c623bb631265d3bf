import pytest

from engines.tts.stand_in import MEN, WOMEN, espeak_stand_in, stand_in


@pytest.mark.parametrize(("name", "kind"), [("f1", WOMEN), ("f3", WOMEN), ("m3", MEN), ("m7", MEN)])
def test_a_voice_keeps_its_kind(name: str, kind: tuple[str, ...]) -> None:
    assert stand_in(name, [*WOMEN, *MEN]) in kind


def test_numbers_have_voices_of_their_own() -> None:
    assert len({stand_in(f"f{number}", WOMEN) for number in range(5)}) == 5


def test_where_no_kind_is_known_it_is_the_first() -> None:
    assert stand_in("f3", ["p225", "p226"]) == "p225"


@pytest.mark.parametrize("name", ["", "f", "f33", "klatt", "Ana Florence"])
def test_other_names_have_none(name: str) -> None:
    assert stand_in(name, WOMEN) is None


@pytest.mark.parametrize(
    ("name", "variant"), [(WOMEN[0], "f3"), (MEN[0], "m3"), ("p225", ""), ("m7", "m7")]
)
def test_espeak_stands_in_as_well(name: str, variant: str) -> None:
    assert espeak_stand_in(name, {"f3", "m3", "m7"}) == variant
