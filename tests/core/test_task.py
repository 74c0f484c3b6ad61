"""What is explained: scores, losses and probabilities, written by hand for every mode."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glassgraph.errors import LabelsMissingError
from glassgraph.inputs.task import (
    Targets,
    Task,
    loss,
    predicted_class,
    probabilities,
    resolve_targets,
    score,
)

LOG = math.log


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def matrix(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def targets(chosen: list[int], contrast: list[int] | None = None) -> Targets:
    return Targets(torch.tensor(chosen), None if contrast is None else torch.tensor(contrast))


def logit(p: float) -> float:
    return LOG(p / (1 - p))


MULTI = {
    # Two instances over three classes, P = (1/8, 5/8, 1/4) and (1/2, 1/3, 1/6).
    "raw": matrix((LOG(1), LOG(5), LOG(2)), (LOG(3), LOG(2), LOG(1))),
    "probs": matrix((1 / 8, 5 / 8, 1 / 4), (1 / 2, 1 / 3, 1 / 6)),
    "log_probs": matrix((LOG(1 / 8), LOG(5 / 8), LOG(1 / 4)), (LOG(1 / 2), LOG(1 / 3), LOG(1 / 6))),
}
BINARY = {
    # One column: P(1) = 3/4 and 1/5.
    "raw": matrix((logit(3 / 4),), (logit(1 / 5),)),
    "probs": matrix((3 / 4,), (1 / 5,)),
    "log_probs": matrix((LOG(3 / 4),), (LOG(1 / 5),)),
}
LABELS = {
    # Two columns, each a question of its own: P = (3/4, 1/5) and (1/2, 1/3).
    "raw": matrix((logit(3 / 4), logit(1 / 5)), (logit(1 / 2), logit(1 / 3))),
    "probs": matrix((3 / 4, 1 / 5), (1 / 2, 1 / 3)),
    "log_probs": matrix((LOG(3 / 4), LOG(1 / 5)), (LOG(1 / 2), LOG(1 / 3))),
}
each_return = pytest.mark.parametrize("kind", ["raw", "probs", "log_probs"])


def multi(kind: str) -> Task:
    return Task("node", "multiclass_classification", kind)


def binary(kind: str) -> Task:
    return Task("node", "binary_classification", kind)


REGRESSION = Task("node", "regression")


@each_return
def test_probabilities(kind: str) -> None:
    torch.testing.assert_close(probabilities(multi(kind), MULTI[kind]), MULTI["probs"])
    two = matrix((1 / 4, 3 / 4), (4 / 5, 1 / 5))
    torch.testing.assert_close(probabilities(binary(kind), BINARY[kind]), two)
    torch.testing.assert_close(probabilities(binary(kind), LABELS[kind]), LABELS["probs"])
    values = matrix((-3.0,), (7.0,))
    assert torch.equal(probabilities(REGRESSION, values), values)


@each_return
def test_predicted_class(kind: str) -> None:
    assert predicted_class(multi(kind), MULTI[kind]).tolist() == [1, 0]
    assert predicted_class(binary(kind), BINARY[kind]).tolist() == [1, 0]


@each_return
def test_score_of_a_class_is_its_column(kind: str) -> None:
    found = score(multi(kind), MULTI[kind], targets([2, 0]))
    assert found.tolist() == [float(MULTI[kind][0, 2]), float(MULTI[kind][1, 0])]
    found = score(binary(kind), LABELS[kind], targets([1, 0]))
    assert found.tolist() == [float(LABELS[kind][0, 1]), float(LABELS[kind][1, 0])]


@each_return
def test_score_of_a_pair_is_the_difference(kind: str) -> None:
    found = score(multi(kind), MULTI[kind], targets([2, 0], [1, 2]))
    one = float(MULTI[kind][0, 2] - MULTI[kind][0, 1])
    other = float(MULTI[kind][1, 0] - MULTI[kind][1, 2])
    torch.testing.assert_close(found, vector(one, other))


@pytest.mark.parametrize(
    ("kind", "ones", "zeros"),
    [
        ("raw", (LOG(3), LOG(1 / 4)), (-LOG(3), LOG(4))),
        ("probs", (3 / 4, 1 / 5), (1 / 4, 4 / 5)),
        ("log_probs", (LOG(3 / 4), LOG(1 / 5)), (LOG(1 / 4), LOG(4 / 5))),
    ],
)
def test_score_of_one_column_is_mirrored(kind: str, ones, zeros) -> None:
    task = binary(kind)
    torch.testing.assert_close(score(task, BINARY[kind], targets([1, 1])), vector(*ones))
    torch.testing.assert_close(score(task, BINARY[kind], targets([0, 0])), vector(*zeros))
    pair = score(task, BINARY[kind], targets([1, 1], [0, 0]))
    torch.testing.assert_close(pair, vector(*ones) - vector(*zeros))


def test_score_of_a_regression_is_its_column() -> None:
    values = matrix((3.0, -5.0), (7.0, 11.0))
    assert score(REGRESSION, values, targets([1, 0])).tolist() == [-5.0, 7.0]


@each_return
def test_loss_is_minus_log_probability(kind: str) -> None:
    found = loss(multi(kind), MULTI[kind], targets([1, 2]), MULTI[kind])
    torch.testing.assert_close(found, vector(-LOG(5 / 8), -LOG(1 / 6)))
    found = loss(binary(kind), BINARY[kind], targets([1, 0]), BINARY[kind])
    torch.testing.assert_close(found, vector(-LOG(3 / 4), -LOG(4 / 5)))
    found = loss(binary(kind), LABELS[kind], targets([1, 0]), LABELS[kind])
    torch.testing.assert_close(found, vector(-LOG(1 / 5), -LOG(1 / 2)))


@each_return
def test_loss_of_a_pair(kind: str) -> None:
    """``-log sigmoid(log P(a) - log P(b)) = log(1 + P(b) / P(a))``."""
    found = loss(multi(kind), MULTI[kind], targets([1, 2], [0, 0]), MULTI[kind])
    torch.testing.assert_close(found, vector(LOG(1 + 1 / 5), LOG(1 + 3)))
    found = loss(binary(kind), BINARY[kind], targets([1, 0], [0, 1]), BINARY[kind])
    torch.testing.assert_close(found, vector(LOG(1 + 1 / 3), LOG(1 + 1 / 4)))


def test_loss_of_a_regression_is_the_squared_distance() -> None:
    values, reference = matrix((3.0, 0.0), (7.0, 2.0)), matrix((1.0, 9.0), (7.0, 5.0))
    assert loss(REGRESSION, values, targets([0, 1]), reference).tolist() == [4.0, 9.0]


def test_loss_of_a_probability_of_zero_is_large_but_finite() -> None:
    output = matrix((0.0, 1.0)).requires_grad_()
    found = loss(multi("probs"), output, targets([0]), output.detach())
    assert found.item() == pytest.approx(-LOG(1e-15))
    (gradient,) = torch.autograd.grad(found.sum(), output)
    assert torch.isfinite(gradient).all()


@each_return
def test_losses_have_the_gradient_of_their_formula(kind: str) -> None:
    for task, output, chosen in (
        (multi(kind), MULTI[kind], targets([1, 2], [0, 0])),
        (multi(kind), MULTI[kind], targets([1, 2])),
        (binary(kind), BINARY[kind], targets([1, 0])),
        (binary(kind), BINARY[kind], targets([1, 0], [0, 1])),
    ):
        point = output.clone().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda value, task=task, chosen=chosen, output=output: loss(
                task, value, chosen, output
            ),
            point,
        )


def no_labels() -> Tensor:
    raise LabelsMissingError("none")


def test_targets_of_every_kind() -> None:
    task, output = multi("raw"), MULTI["raw"]

    def chosen(target: object, labels: object = no_labels) -> list[int]:
        return resolve_targets(task, target, output, labels).chosen.tolist()  # type: ignore[arg-type]

    assert chosen(None) == chosen("predicted") == [1, 0]
    assert chosen("label", lambda: torch.tensor([2, 1])) == [2, 1]
    assert chosen(2) == [2, 2]
    assert chosen(torch.tensor([2, 0])) == [2, 0]
    assert chosen(torch.tensor(1)) == [1, 1]
    pair = resolve_targets(task, (2, 0), output, no_labels)
    assert pair.chosen.tolist() == [2, 2]
    assert pair.contrast is not None
    assert pair.contrast.tolist() == [0, 0]
    assert resolve_targets(
        REGRESSION, None, vector(1, 2).view(-1, 1), no_labels
    ).chosen.tolist() == [
        0,
        0,
    ]


def test_targets_are_taken_together() -> None:
    taken = targets([3, 5, 7], [2, 4, 6]).take(torch.tensor([2, 0]))
    assert taken.chosen.tolist() == [7, 3]
    assert taken.contrast is not None
    assert taken.contrast.tolist() == [6, 2]
