"""Methods on two networks that compute one function."""

from __future__ import annotations

import pytest
import torch

from glassgraph_studies.reproduce.invariance.experiment import graph, networks, run_invariance


def test_both_networks_compute_the_same() -> None:
    plain, roundabout = networks()
    for a, b in ((0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (1.0, 1.0), (0.3, 4.0)):
        data = graph(a, b)
        one, two = (net(data.x, data.edge_index) for net in (plain, roundabout))
        torch.testing.assert_close(one, two)
        assert float(one[0].detach()) == pytest.approx(a + b)


def test_who_sees_the_implementation() -> None:
    rows = {row["method"]: row for row in run_invariance()}
    equal = {name for name, row in rows.items() if row["is_equal"]}
    assert equal == {
        "edge_gradients",
        "integrated_gradients",
        "occlusion",
        "LRP-0",
        "LRP-epsilon",
    }
    # z+: of y = 2 the hidden sum a + 2 b = 3 gets all, and hands on 1/3 and 2/3.
    assert rows["LRP-z+"]["plain"] == pytest.approx([1, 1])
    assert rows["LRP-z+"]["roundabout"] == pytest.approx([2 / 3, 4 / 3])
