from engines.avatar.viseme.gallery import FACE_PX, gallery
from engines.avatar.viseme.portrait import FACES


def test_the_picture_holds_every_face() -> None:
    assert gallery().shape == (FACE_PX, FACE_PX * len(FACES), 3)
