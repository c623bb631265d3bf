"""What is told on the way is tested in test_ingest.py."""

import numpy as np

from engines.knowledge.embedding import BATCH_TEXTS
from engines.knowledge.embedding_progress import Stepwise
from tests.engines.knowledge.test_library import Topics


async def test_batches_give_what_the_model_gives_at_once() -> None:
    texts = [["ice", "fire", "x"][i % 3] for i in range(2 * BATCH_TEXTS + 1)]
    model = Topics()
    stepwise = Stepwise(model)
    vectors = await stepwise.embed(texts)
    assert model.asked == texts
    assert np.array_equal(vectors, await Topics().embed(texts))
    await stepwise.close()
    assert (stepwise.name, model.asked[-1]) == ("topics", "closed")
