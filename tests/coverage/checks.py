"""What must hold on every set-up; each check raises AssertionError where it does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from glassgraph.errors import GlassgraphError, UnsupportedModelError
from tests.coverage.called import METHODS_OUTSIDE, Called
from tests.coverage.limits import NO_PARTS, OTHERS, called_limits, limit
from tests.coverage.scene import SIX, Scene


def close(found: Tensor, expected: Tensor, rounding: float) -> bool:
    """Equal up to rounding, and finite."""
    is_finite = bool(torch.isfinite(found).all())
    return is_finite and torch.allclose(found, expected, rtol=0, atol=rounding)


def scores_are_finite(scene: Scene) -> None:
    """All six methods give a finite score for each of the user's edges; no hook is left.

    `Scene.explain` also holds the model's parameters, buffers, flags, hooks, attributes and output
    against what they were.
    """
    for method in SIX:
        masks = scene.masks(method)
        assert len(masks) == len(scene.index)
        for edges, mask in zip(scene.edges, masks, strict=True):
            assert mask.shape == edges.shape
            assert torch.isfinite(mask).all(), method


def wiring_is_known(scene: Scene) -> None:
    """Message calls, layers and hops are those of the formula; so is what it runs on."""
    set_up, wiring = scene.set_up, scene.preparation.wiring
    assert len(wiring.sites) == set_up.sites
    assert wiring.num_layers == set_up.layers
    assert wiring.num_hops == set_up.layers
    assert all(site.is_mapped for site in wiring.sites)
    is_whole = [each or scene.keeps_graphs for each in scene.is_whole]
    assert is_whole == [bool(set_up.whole)] * len(scene.index)
    for method in SIX if not scene.keeps_graphs else ():  # where nothing falls back
        assert bool(scene.warned(method)) == bool(set_up.whole), method


def open_gates_change_nothing(scene: Scene) -> None:
    """Gate 1 is the model itself: to the last bit, up to rounding where graphs are packed."""
    out = scene.outputs(1.0)
    if all(scene.is_whole) and scene.set_up.rounding < 1e-8 and scene.set_up.is_bitwise:
        assert torch.equal(out, scene.prediction)
    assert close(out, scene.prediction, scene.set_up.rounding)


def shut_gates_delete_messages(scene: Scene) -> None:
    """Gate 0 is the model with every message of the user's edges zero, and not the model itself."""
    out = scene.outputs(0.0)
    assert close(out, scene.shut(), scene.set_up.rounding)
    changes = (out - scene.prediction).abs().amax(dim=1) > 1e-6
    assert changes.tolist() == [mask.any().item() for mask in scene.masks("occlusion")]
    assert int(changes.sum()) >= 3


def targets(scene: Scene) -> list[int]:
    """The explained classes: those that the model predicts."""
    return [int(target) for target in scene.prediction.argmax(dim=1)]


def occlusion_is_literal(scene: Scene) -> None:
    """Shutting one edge is deleting its messages on the full graph, for every edge."""
    expected = scene.occlusion(targets(scene))
    for mask, literal in zip(scene.masks("occlusion"), expected, strict=True):
        assert close(mask, literal, scene.set_up.rounding)


def gradients_are_literal(scene: Scene) -> None:
    """Edge gradients are those of plain autograd on the full graph, for every layer."""
    layers = torch.tensor([site.layer for site in scene.preparation.wiring.sites])
    expected = scene.gradients(targets(scene))
    for found, literal in zip(scene.explain("edge_gradients"), expected, strict=True):
        total = literal.new_zeros(scene.set_up.layers, literal.size(1))
        total.index_add_(0, layers, literal)
        assert close(found.layer_edge_mask, total, scene.set_up.rounding)
        assert close(found.edge_mask, literal.sum(dim=0), scene.set_up.rounding)


def target_matters(scene: Scene) -> None:
    """Another class gets other scores, wherever there are edges."""
    for first, second in zip(
        scene.masks("edge_gradients", target=0),
        scene.masks("edge_gradients", target=1),
        strict=True,
    ):
        assert first.any() == second.any()
        if first.any():
            assert float((first - second).abs().max()) > 1e-6


def together_is_one_by_one(scene: Scene) -> None:
    """Explaining several instances at once is explaining each alone, for all six methods."""
    alone = scene.masks_alone()
    for method in SIX:
        for mask, own in zip(scene.masks(method), alone[method], strict=True):
            assert close(mask, own, max(scene.set_up.rounding, 1e-10)), method


def fallback_agrees(scene: Scene) -> None:
    """The full graph gives the same scores as receptive fields.

    The fall-back is forced by a prediction that counts the nodes which the model is given.
    """
    if scene.set_up.level == "graph":
        return  # nothing is cut

    def counting(model: Any, data: Any) -> Tensor:
        arguments = {name: data[name] for name in scene.set_up.names}
        out: Tensor = model(data.x, data.edge_index, **arguments)
        return out + data.num_nodes

    expected = scene.masks("edge_gradients", target=2)
    found = scene.masks("edge_gradients", target=2, call=counting)
    for mask, other in zip(expected, found, strict=True):
        assert close(other, mask, scene.set_up.rounding)


def surroundings_agree(scene: Scene) -> None:
    """Fields that are checked on their surroundings give the same scores, as on a large graph."""
    if scene.set_up.whole:
        return  # what lies further off matters, and surroundings cannot show it
    expected = scene.masks("edge_gradients", target=2)
    found = scene.masks("edge_gradients", target=2, check="local")
    for mask, other in zip(expected, found, strict=True):
        assert close(other, mask, scene.set_up.rounding)


def others_keep_to_their_limits(scene: Scene) -> None:
    """The methods of `OTHERS` give finite scores, or refuse in the words that are expected.

    Rules leave the logit as it is. The relevance of a node is that of all walks which start there.
    """
    for method in OTHERS:
        expected, found = limit(method, scene.set_up), scene.attributions[method]
        if expected is not None:
            assert isinstance(found, expected.error), f"{method} explains it, or fails otherwise"
            assert expected.says in str(found), method
            continue
        assert not isinstance(found, GlassgraphError), f"{method}: {found}"
        scores = [each for _, one in found for each in (one.edge, one.node) if each is not None]
        assert all(bool(torch.isfinite(each).all()) for each in scores), method
        if method in ("guided_backprop", "excitation_backprop"):  # these may cut all to zero
            assert all(bool((each >= 0).all()) for each in scores), method
        else:
            assert any(bool(each.any()) for each in scores), method
        if method in ("lrp", "gnn_lrp"):
            for at, one in found:
                logit = scene.prediction[at].amax(dim=1)
                assert one.total is not None
                assert close(one.total, logit, scene.set_up.rounding), method
    by_rules, by_walks = scene.attributions["lrp"], scene.attributions["gnn_lrp"]
    if not isinstance(by_rules, GlassgraphError) and not isinstance(by_walks, GlassgraphError):
        for (_, one), (_, other) in zip(by_rules, by_walks, strict=True):
            assert one.node is not None
            assert other.node is not None
            assert close(one.node, other.node, scene.set_up.rounding)


def seen_from_outside(scene: Scene) -> None:
    """Deleting an edge is calling the model on the graph without it, also on receptive fields.

    Methods that only call the model give finite scores, or refuse models that need the whole graph.
    """
    called = Called(scene)
    if scene.set_up.name in NO_PARTS:
        with pytest.raises(UnsupportedModelError, match="on a part of the graph"):
            called.without_each_edge(3)
        return
    found = called.without_each_edge(3)
    for instance, edge, output in found:
        expected = called.literal_without(instance, edge)
        assert close(output, expected, max(scene.set_up.rounding, 1e-9))
    for method in METHODS_OUTSIDE:
        scores = called.attributions(method)
        if method in called_limits(scene.set_up):
            assert isinstance(scores, GlassgraphError), f"{method} explains it now"
            continue
        assert not isinstance(scores, GlassgraphError), f"{method}: {scores}"
        for one in scores:
            given = [one.edge, one.node, *(one.feature or [])]
            assert any(each is not None for each in given), method
            assert all(bool(torch.isfinite(each).all()) for each in given if each is not None)


CHECKS = (
    scores_are_finite,
    wiring_is_known,
    open_gates_change_nothing,
    shut_gates_delete_messages,
    occlusion_is_literal,
    gradients_are_literal,
    target_matters,
    together_is_one_by_one,
    fallback_agrees,
    surroundings_agree,
    others_keep_to_their_limits,
    seen_from_outside,
)
#: Those that ask many methods; the others compare scores with literal ones.
OF_MANY = (
    scores_are_finite,
    together_is_one_by_one,
    fallback_agrees,
    others_keep_to_their_limits,
    seen_from_outside,
    target_matters,
    wiring_is_known,
)
