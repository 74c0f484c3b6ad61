"""The trainer learns, keeps its best weights, and leaves the caller's random state alone."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch_geometric.data import Data

from glassgraph.errors import HyperParameterError
from glassgraph.models import GIN, Body, accuracy, train

LINE = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


@dataclass
class Toy:
    """A data set of the smallest form that the trainer takes."""

    graphs: list
    split: dict
    level: str = "node"
    name: str = "toy"


def split(train, val, test):
    parts = {"train": train, "val": val, "test": test}
    return {part: torch.tensor(ids, dtype=torch.long) for part, ids in parts.items()}


def node_task():
    """Twelve nodes; the class is the sign of feature 0."""
    x = torch.randn(12, 3)
    return Toy(
        [Data(x=x, edge_index=LINE, y=(x[:, 0] > 0).long())],
        split([0, 1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11]),
    )


def graph_task():
    """Twenty-three lines of three nodes; the class is what their features are."""
    graphs = [
        Data(x=torch.full((3, 2), float(i % 2)), edge_index=LINE, y=torch.tensor([i % 2]))
        for i in range(23)
    ]
    return Toy(graphs, split(range(13), range(13, 18), range(18, 23)), "graph")


class Bias(nn.Module):
    """The same logits for every node, so every accuracy can be counted by hand."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def test_a_graph_task_is_learned():
    torch.manual_seed(3)
    dataset = graph_task()
    model = GIN(2, 7, 2, "graph", Body(num_layers=1))
    training = train(model, dataset, epochs=60, batch_size=5, progress=False)
    assert accuracy(model, dataset) == {"train": 1.0, "val": 1.0, "test": 1.0}
    assert (training.val_accuracy, training.train_accuracy) == (1.0, 1.0)
    assert not model.training


def test_accuracy_by_hand_and_modes_afterwards():
    dataset = node_task()
    dataset.graphs[0].y = torch.tensor([1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1])
    model = Bias([0.0, 1.0])
    model.child = nn.Dropout()
    model.child.eval()
    assert accuracy(model, dataset) == {"train": 2 / 6, "val": 2 / 3, "test": 1.0}
    assert model.training
    assert not model.child.training


def test_best_validation_weights_are_restored():
    # Training pulls towards class 0, validation wants class 1: the first epoch is the best one.
    dataset = node_task()
    dataset.graphs[0].y = torch.tensor([0] * 6 + [1] * 6)
    model = Bias([0.0, 1.0])
    training = train(model, dataset, epochs=90, learning_rate=0.2, patience=90, progress=False)
    assert (training.epochs, training.best_epoch, training.val_accuracy) == (90, 1, 1.0)
    assert model.logits.tolist() == pytest.approx([0.2, 0.8], abs=1e-6)  # one step of Adam


def test_long_gradients_are_cut():
    """Adam forgets a common factor, so the lengths are read where they are cut."""
    lengths = []
    for clip in (None, 0.01):
        dataset, model = node_task(), Bias([5.0, 0.0])
        dataset.graphs[0].y = torch.ones(12, dtype=torch.long)
        seen = []
        model.logits.register_post_accumulate_grad_hook(lambda p, seen=seen: seen.append(p.grad))
        train(model, dataset, epochs=1, clip=clip, progress=False)
        lengths.append(float(seen[0].norm()))
    assert lengths[0] > 1
    assert lengths[1] == pytest.approx(0.01, rel=1e-4)


def test_a_penalty_is_paid_in_training_and_counted_in_validation():
    """Logits alike for all nodes: without a penalty they fit the training part, which is all 1."""
    task = Toy(
        [Data(x=torch.zeros(6, 1), edge_index=LINE, y=torch.ones(6, dtype=torch.long))],
        split([0, 1, 2], [3, 4], [5]),
    )

    def size(model, graph):
        assert graph.num_nodes == 6
        return 50 * model.logits.square().sum()

    free, held = Bias([0.0, 0.0]), Bias([0.0, 0.0])
    train(free, task, epochs=40, progress=False)
    training = train(held, task, epochs=40, penalty=size, progress=False)
    assert float(free.logits.detach()[1]) > 0.2
    assert float(held.logits.detach().abs().max()) < 0.05
    expected = float(nn.functional.cross_entropy(held.logits.detach()[None], torch.tensor([1])))
    assert training.val_loss == pytest.approx(expected + float(size(held, task.graphs[0]).detach()))


def test_patience_stops_early():
    dataset = node_task()
    dataset.graphs[0].y = torch.tensor([0] * 6 + [1] * 6)
    training = train(Bias([0.0, 1.0]), dataset, epochs=90, patience=7, progress=False)
    assert (training.epochs, training.best_epoch) == (8, 1)


def test_labels_of_the_test_part_make_no_difference():
    weights = []
    for flip in (False, True):
        torch.manual_seed(5)
        dataset, model = node_task(), GIN(3, 5, 2)
        if flip:
            test = dataset.split["test"]
            dataset.graphs[0].y[test] = 1 - dataset.graphs[0].y[test]
        train(model, dataset, epochs=20, progress=False)
        weights.append(torch.cat([p.view(-1) for p in model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize("task", [node_task, graph_task])
def test_same_seed_same_weights_and_untouched_random_state(task):
    weights = []
    dataset = task()
    channels = dataset.graphs[0].x.shape[1]
    for seed in (1, 1, 2):
        torch.manual_seed(9)
        model = GIN(channels, 5, 2, dataset.level, Body(dropout=0.5))
        state = torch.get_rng_state()
        train(model, dataset, epochs=5, batch_size=4, seed=seed, progress=False)
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(torch.cat([p.detach().view(-1) for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_is_quiet_when_asked(capsys, progress):
    train(GIN(3, 5, 2), node_task(), epochs=2, progress=progress)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("train toy" in shown.err) == progress


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"patience": 0}, {"batch_size": 0}, {"clip": 0.0}]
)
def test_numbers_must_be_positive(wrong):
    with pytest.raises(HyperParameterError, match="must be positive"):
        train(GIN(3, 5, 2), node_task(), **wrong)


def test_an_empty_part_is_refused():
    dataset = node_task()
    dataset.split["val"] = torch.tensor([], dtype=torch.long)
    with pytest.raises(HyperParameterError, match="train and a validation part"):
        train(GIN(3, 5, 2), dataset)
