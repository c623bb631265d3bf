"""Prepared avatars, of one picture each."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from engines.avatar.musetalk.prepared import AvatarCache, Canvas, Facts


@pytest.fixture
def avatars(tmp_path: Path) -> AvatarCache:
    for name, version in (("Ada", "v1.5"), ("Old", "v1")):
        folder = tmp_path / name
        folder.mkdir()
        canvas = Canvas(folder, 1, np.array([[200, 200, 300, 300]], np.int32))
        canvas.finish(Facts(name, "photo", cast(Any, version), 1))
    return AvatarCache(tmp_path, 10**9)
