"""Ctrl-C on a long run keeps what is done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import glassgraph as gg
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import Interrupted
from glassgraph.testing.cases import Case

CASE = Case("gin", "node")
INDEX = [4, 9, 17, 3, 8]


class Stops(gg.EdgeGradients):
    """Is interrupted in the third batch; a tiny budget makes a batch of every instance."""

    batches = 0

    def attribute(self, batch: InstanceBatch) -> gg.Attribution:
        self.batches += 1
        if self.batches == 3:
            raise KeyboardInterrupt
        return super().attribute(batch)


def test_what_is_done_comes_with_the_error(tmp_path: Path) -> None:
    model, data = CASE.model(), CASE.data()
    explainer = Stops(model, memory_budget=1, progress=False)
    with pytest.raises(Interrupted, match="2 of 5 explanations are done") as caught:
        explainer.explain(data, INDEX, save_to=tmp_path / "run")
    done = caught.value.explanations
    assert isinstance(caught.value, KeyboardInterrupt)
    assert [each.local.index for each in done] == INDEX[:2]
    assert not done.is_complete
    assert "interrupted" in repr(done)
    loaded = gg.Explanations.load(tmp_path / "run")
    assert not loaded.is_complete
    expected = gg.EdgeGradients(model, progress=False).explain(data, INDEX)
    for position in range(2):
        for found in (done, loaded):
            torch.testing.assert_close(
                found[position].layer_edge_mask, expected[position].layer_edge_mask
            )


def test_nothing_done_is_an_empty_result() -> None:
    class AtOnce(gg.Saliency):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="0 of 5") as caught:
        AtOnce(CASE.model(), progress=False).explain(CASE.data(), INDEX)
    assert len(caught.value.explanations) == 0


def test_a_run_that_dies_leaves_what_it_had_finished(tmp_path: Path) -> None:
    """Not an interrupt but an error: the folder still holds the finished part."""

    class Dies(Stops):
        def attribute(self, batch: InstanceBatch) -> gg.Attribution:
            try:
                return super().attribute(batch)
            except KeyboardInterrupt as error:
                raise MemoryError from error

    with pytest.raises(MemoryError):
        Dies(CASE.model(), memory_budget=1, progress=False).explain(
            CASE.data(), INDEX, save_to=tmp_path
        )
    loaded = gg.Explanations.load(tmp_path)
    assert [each.local.index for each in loaded] == INDEX[:2]
    assert not loaded.is_complete


def test_saving_on_the_way_equals_saving_at_the_end(tmp_path: Path) -> None:
    model, data = CASE.model(), CASE.data()
    explainer = gg.EdgeGradients(model, memory_budget=1, progress=False)
    found = explainer.explain(data, INDEX, save_to=tmp_path)
    loaded = gg.Explanations.load(tmp_path)
    assert loaded.is_complete
    assert len(loaded) == len(found) == 5
    for one, other in zip(found, loaded, strict=True):
        assert torch.equal(one.layer_edge_mask, other.layer_edge_mask)


def test_a_folder_is_replaced_not_mixed(tmp_path: Path) -> None:
    model, data = CASE.model(), CASE.data()
    explainer = gg.EdgeGradients(model, memory_budget=1, progress=False)
    explainer.explain(data, INDEX, save_to=tmp_path)
    explainer.explain(data, INDEX[:2]).save(tmp_path)
    assert len(gg.Explanations.load(tmp_path)) == 2
    assert len(list(tmp_path.glob("part-*.edges.parquet"))) == 2
