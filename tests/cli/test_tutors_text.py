from pathlib import Path

import pytest
import yaml

from cli.errors import CommandError
from cli.tutors_text import with_entry, without_entry, write
from tests.running import PROJECT

TEXT = """\
# Who they are.
tutors:
    # the first
    1:
        name: Mei   # a name
        prompt: |
            # not a comment

            Hello.

    2: {name: Anna,
        face: anna}
    3:
        name: David
        voice: {name: m3}

# Those who stand in.
anyone:
- {face: mei}
"""
NEW = {"name: odd": "ja: # nein", "prompt": "Zwei\nZeilen\n", "voice": {"name": "f3"}}


def lines_lost(before: str, after: str) -> list[str]:
    kept = after.splitlines()
    return [line for line in before.splitlines() if line not in kept]


@pytest.mark.parametrize("text", [TEXT, (PROJECT / "configs/tutors.yaml").read_text()])
def test_an_entry_is_added_and_taken_out_and_all_else_stays(text: str) -> None:
    more = with_entry(text, "tutors", 9, NEW)
    assert yaml.safe_load(more)["tutors"][9] == NEW
    assert lines_lost(text, more) == []
    assert without_entry(more, "tutors", 9) == text


@pytest.mark.parametrize("key", [1, 2, 3])
def test_one_of_the_same_key_is_replaced_in_its_place(key: int) -> None:
    changed = with_entry(TEXT, "tutors", key, {"face": "mei"})
    assert list(yaml.safe_load(changed)["tutors"].items())[key - 1] == (key, {"face": "mei"})
    assert "# the first" in changed
    assert "# Those who stand in." in changed


@pytest.mark.parametrize("key", [1, 2, 3])
def test_an_entry_goes_without_the_comments_of_others(key: int) -> None:
    less = without_entry(TEXT, "tutors", key)
    assert key not in yaml.safe_load(less)["tutors"]
    assert "\n\n# Those who stand in.\nanyone:" in less


def test_the_last_one_may_go_and_another_come() -> None:
    text = "tutors:\n  1: {face: mei}\nanyone: [{face: mei}]\n"
    none = without_entry(text, "tutors", 1)
    assert yaml.safe_load(none)["tutors"] == {}
    assert yaml.safe_load(with_entry(none, "tutors", 2, {"face": "anna"}))["tutors"] == {
        2: {"face": "anna"}
    }


@pytest.mark.parametrize("section", ["", "models:\n", "models: {}\n"])
def test_a_section_that_is_missing_or_empty_is_made(section: str) -> None:
    text = f"# Top.\n{section}anyone: [{{face: mei}}]"
    made = with_entry(text, "models", "a:1", {"min_replicas": 0})
    assert yaml.safe_load(made) == {
        "models": {"a:1": {"min_replicas": 0}},
        "anyone": [{"face": "mei"}],
    }
    assert made.startswith("# Top.\n")


@pytest.mark.parametrize(
    "text",
    [
        "tutors: {1: {face: mei}}\nanyone: [{face: mei}]\n",
        "{tutors: {1: {face: mei}}, anyone: [{face: mei}]}\n",
    ],
)
def test_what_cannot_be_changed_by_command_is_left_to_a_person(text: str) -> None:
    with pytest.raises(CommandError, match="by hand"):
        with_entry(text, "tutors", 2, {"face": "anna"})


def test_an_entry_that_is_not_there_cannot_go() -> None:
    with pytest.raises(CommandError, match="no 7"):
        without_entry(TEXT, "tutors", 7)


def test_a_file_is_written_whole_and_stays_what_it_was(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write(link, "néw")
    assert (link.is_symlink(), real.read_text("utf-8")) == (True, "néw")
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"gone\.yaml cannot be written"):
        write(tmp_path / "gone.yaml", "x")
