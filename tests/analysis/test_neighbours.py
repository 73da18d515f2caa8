import numpy as np
import pytest

from seewhy.analysis.neighbours import nearest


def test_the_nearest_are_those_of_the_largest_cosine() -> None:
    rng = np.random.default_rng(0)
    base, asked = rng.normal(size=(500, 6)), rng.normal(size=(300, 6))
    found = nearest(asked.astype(np.float32), base.astype(np.float32), 5)
    a, b = asked - base.mean(0), base - base.mean(0)
    cosine = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    assert np.array_equal(found.rows, np.argsort(-cosine, axis=1)[:, :5])
    assert found.similarity == pytest.approx(np.sort(cosine, axis=1)[:, ::-1][:, :5], abs=1e-5)


def test_an_image_of_the_set_is_nearest_to_itself() -> None:
    base = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    found = nearest(base[[7]], base)
    assert found.rows[0, 0] == 7 and found.similarity[0, 0] == pytest.approx(1)


def test_a_small_set_gives_all_it_has() -> None:
    assert nearest(np.ones((2, 3), np.float32), np.eye(3, dtype=np.float32)[:2]).rows.shape == (
        2,
        2,
    )
