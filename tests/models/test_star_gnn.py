"""The star-graph network against a literal loop, and its training on a small budget."""

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from glassgraph.datasets.star_graphs import star_graphs
from glassgraph.errors import HyperParameterError
from glassgraph.models import ColorConv, StarGNN, train_star_gnn
from glassgraph.models.star_training import _Joined

D, OUT, R, N, E = 5, 7, 3, 11, 23


def weights(conv: ColorConv, relation: int) -> tuple[Tensor, Tensor]:
    rows = slice(relation * conv.out_channels, (relation + 1) * conv.out_channels)
    return conv.transform.weight[rows], conv.transform.bias[rows]


def mlp(layers: nn.Sequential, x: Tensor) -> Tensor:
    first, _, second = layers
    hidden = [max(0.0, float(h)) for h in first.weight @ x + first.bias]
    return second.weight @ torch.tensor(hidden, dtype=x.dtype) + second.bias


def test_messages_and_sums_against_a_loop() -> None:
    torch.manual_seed(0)
    conv = ColorConv(D, OUT, R).double()
    x = torch.randn(N, D, dtype=torch.double)
    edge_index, edge_type = torch.randint(N - 1, (2, E)), torch.randint(R, (E,))
    expected = torch.zeros(N, OUT, dtype=torch.double)
    seen: list[Tensor] = []
    conv.register_message_forward_hook(lambda module, args, message: seen.append(message))
    with torch.no_grad():
        found = conv(x, edge_index, edge_type)
        for number, (u, v) in enumerate(edge_index.t().tolist()):
            weight, bias = weights(conv, int(edge_type[number]))
            message = (weight @ x[u] + bias).clamp_min(0)
            torch.testing.assert_close(seen[0][number], message)
            expected[v] += message
    assert len(seen) == 1
    torch.testing.assert_close(found, expected)
    assert not found[N - 1].any()  # where no edge ends


def test_logits_of_a_batch_against_a_loop_over_graphs_and_leaves() -> None:
    torch.manual_seed(1)
    model = StarGNN(12, 6).double()
    graphs = star_graphs(2, (13, 1, 1)).graphs
    batch = Batch.from_data_list(graphs)
    with torch.no_grad():
        found = model(batch.x.double(), batch.edge_index, batch.edge_type, batch.batch)
        assert found.shape == (15, 1)
        for number, graph in enumerate(graphs):
            total = torch.zeros(50, dtype=torch.double)
            for leaf, color in enumerate(graph.edge_type.tolist(), start=1):
                weight, bias = weights(model.conv, color)
                state = mlp(model.embed, graph.x[leaf].double())
                total += (weight @ state + bias).clamp_min(0)
            torch.testing.assert_close(found[number], mlp(model.head, total))
            alone = model(graph.x.double(), graph.edge_index, graph.edge_type)
            torch.testing.assert_close(alone, found[number : number + 1])


def test_sizes_are_those_of_the_paper() -> None:
    model = StarGNN(12, 6)
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [
        (100, 12), (100,), (50, 100), (50,),  # embedding
        (300, 50), (300,),  # six colors
        (100, 50), (100,), (1, 100), (1,),  # readout
    ]  # fmt: skip


def test_batches_cut_from_columns_are_those_of_pyg() -> None:
    graphs = star_graphs(4, (17, 1, 1)).graphs
    ids = torch.tensor([11, 3, 16, 3])
    (x, edge_index, edge_type, owner), labels = _Joined(graphs).take(ids)
    batch = Batch.from_data_list([graphs[number] for number in ids.tolist()])
    assert torch.equal(x, batch.x)
    assert torch.equal(edge_index, batch.edge_index)
    assert torch.equal(edge_type, batch.edge_type)
    assert torch.equal(owner, batch.batch)
    assert torch.equal(labels, batch.y)


@pytest.mark.slow("small trainings: test_training.py")
def test_training_on_a_tenth_of_the_graphs_is_nearly_perfect() -> None:
    dataset = star_graphs(0, (1000, 100, 100))
    before = torch.random.get_rng_state()
    first = train_star_gnn(dataset, seed=7, epochs=12, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not first.model.training
    assert min(first.accuracy.values()) >= 0.95
    graphs = [dataset.graphs[number] for number in dataset.split["test"].tolist()]
    batch = Batch.from_data_list(graphs)
    logits = first.model(batch.x, batch.edge_index, batch.edge_type, batch.batch)
    share = float(((logits[:, 0] > 0).long() == batch.y).float().mean())
    assert share == pytest.approx(first.accuracy["test"])


def test_equal_seeds_give_equal_weights() -> None:
    dataset = star_graphs(0, (64, 8, 8))
    one, same, other = (
        train_star_gnn(dataset, seed=seed, epochs=2, progress=False).model for seed in (3, 3, 4)
    )
    pairs = zip(one.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.head[0].weight, other.head[0].weight)


def test_test_labels_are_not_read_for_training() -> None:
    dataset = star_graphs(1, (96, 16, 16))
    honest = train_star_gnn(dataset, epochs=3, progress=False)
    for number in dataset.split["test"].tolist():
        dataset.graphs[number].y = 1 - dataset.graphs[number].y
    flipped = train_star_gnn(dataset, epochs=3, progress=False)
    pairs = zip(honest.model.parameters(), flipped.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert flipped.accuracy["test"] == pytest.approx(1 - honest.accuracy["test"])


def test_mistakes_are_named() -> None:
    dataset = star_graphs(0, (4, 1, 1))
    with pytest.raises(HyperParameterError, match="must be positive"):
        train_star_gnn(dataset, epochs=0)
    with pytest.raises(HyperParameterError, match="a train and a validation part"):
        train_star_gnn(star_graphs(0, (4, 0, 1)))
    with pytest.raises(HyperParameterError, match="got 5, 0 and 3"):
        ColorConv(5, 0, 3)
    with pytest.raises(HyperParameterError, match="got 12 and 0"):
        StarGNN(12, 6, hidden_channels=0)
