from xml.etree import ElementTree

import pytest

from engines.avatar.viseme.drawing import figure, lids, to_frame
from engines.avatar.viseme.looks import LOOKS


@pytest.mark.parametrize("name", LOOKS)
def test_every_drawing_is_whole_xml_with_its_layers(name: str) -> None:
    ids = [e.get("id") for e in ElementTree.fromstring(figure(name)).iter() if e.get("id")]
    assert {"background", "figure", "eyes", "brows", "nose"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_half_shut_is_not_shut() -> None:
    assert ElementTree.fromstring(lids("mei", "half")) is not None
    assert lids("mei", "half") != lids("mei", "closed")


def test_the_frame_shows_the_middle_of_the_drawing() -> None:
    assert to_frame(256, 262) == (256, 256)
