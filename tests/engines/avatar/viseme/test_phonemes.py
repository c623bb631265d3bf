import pytest

from engines.avatar.viseme.phonemes import CONSONANT, SILENT, VOWEL, targets


def jaw(symbol: str) -> float:
    return targets(symbol)[0].shape[0]


def wide(symbol: str) -> float:
    return targets(symbol)[0].shape[1]


@pytest.mark.parametrize(
    ("mnemonic", "ipa"),
    [
        ("@", "ə"), ("aI", "aɪ"), ("i:", "iː"), ("O:", "ɔː"), ("tS", "tʃ"), ("T", "θ"),
        ("D", "ð"), ("u:", "uː"), ("3:", "ɜː"), ("0", "ɒ"), ("S", "ʃ"), ("N", "ŋ"), ("'oU", "ˈoʊ"),
    ],
)  # fmt: skip
def test_mnemonics_and_ipa_mean_the_same(mnemonic: str, ipa: str) -> None:
    assert targets(mnemonic) == targets(ipa)


def test_a_diphthong_is_two_sounds() -> None:
    assert targets("'aI") == targets("a") + targets("I")


@pytest.mark.parametrize("symbol", ["p", "b", "m", "ph"])
def test_lips_meet(symbol: str) -> None:
    assert jaw(symbol) == 0 and targets(symbol)[0].shape[2] == 1


def test_vowels_open_and_shape_the_mouth() -> None:
    assert jaw("A:") > jaw("@") > jaw("s")
    assert wide("i:") > wide("a") > wide("u:")
    assert wide("y") < 0


@pytest.mark.parametrize("symbol", ["i5", "i55", "i214", "i˥", "ˈi", ",i"])
def test_tone_and_stress_change_nothing(symbol: str) -> None:
    assert targets(symbol) == targets("i")


@pytest.mark.parametrize("symbol", ["", "_", "_:", "_!", " "])
def test_pauses_are_silent(symbol: str) -> None:
    assert targets(symbol) == (SILENT,)


@pytest.mark.parametrize("symbol", ["_|", "55", "214"])
def test_marks_hardly_count(symbol: str) -> None:
    assert targets(symbol)[0].weight < 0.2


def test_unknown_sounds_are_guessed() -> None:
    assert targets("ɶ") == (VOWEL,)
    assert targets("ʘ") == (CONSONANT,)
