"""The pictures that only measure: they are whole, and none of them is trained on."""

from __future__ import annotations

import numpy as np

from edgesr.data import judges, photos


def test_every_photograph_that_ships_to_measure_on_can_be_read_and_is_told_where_from() -> None:
    files = judges.photographs()
    readme = (judges.KODAK / "README.md").read_text(encoding="utf-8")
    for path in files[1:]:
        assert path.name in readme
        assert photos.decode(path).shape == (192, 192, 3)
    assert len(files) == 7


def test_nothing_that_measures_is_among_what_trains() -> None:
    trained = {path.name for path in photos.embedded().train}
    assert not trained & {path.name for path in judges.photographs()}


def test_graphics_are_the_same_each_time_and_not_flat() -> None:
    for (name, once), (_, again) in zip(judges.graphics(), judges.graphics(), strict=True):
        assert np.array_equal(once, again), name
        assert once.std() > 20, name
