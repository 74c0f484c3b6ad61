"""Teaches networks to answer."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from glassgraph_studies.reproduce.qa.network import EntityGCN

LEARNING_RATE = 1e-3
_BATCH = 32


def teach(
    model: EntityGCN,
    graphs: Sequence[Sequence[Data]],
    validation: Sequence[Data],
    epochs: int,
    seed: int = 0,
) -> float:
    """Learn, and keep the weights of the epoch with the best accuracy on validation questions.

    Args:
        model: learns in place.
        graphs: several lists of training questions with other distractors; taken in turns.
        validation: questions to choose the epoch by.
        epochs: passes over one such list.
        seed: of the order.

    Returns:
        Accuracy on the validation questions, in [0, 1].
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 3 * LEARNING_RATE, epochs=epochs, steps_per_epoch=-(-len(graphs[0]) // _BATCH)
    )
    best, kept = -1.0, copy.deepcopy(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        model.train()
        own = list(graphs[epoch % len(graphs)])
        for data in DataLoader(own, _BATCH, shuffle=True, generator=generator):
            optimizer.zero_grad()
            loss = F.cross_entropy(
                model(data.x, data.edge_index, data.edge_type, data.candidate, data.batch), data.y
            )
            loss.backward()
            optimizer.step()
            schedule.step()
        reached = accuracy(model, validation)
        if reached >= best:
            best, kept = reached, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    model.eval()
    return best


def accuracy(model: EntityGCN, graphs: Sequence[Data]) -> float:
    """Share of questions that are answered correctly."""
    return float((answers(model, graphs) == torch.cat([each.y for each in graphs])).float().mean())


@torch.no_grad()
def answers(model: EntityGCN, graphs: Sequence[Data]) -> Tensor:
    """``[B]`` numbers of the candidates with the best scores."""
    model.eval()
    found = [
        model(data.x, data.edge_index, data.edge_type, data.candidate, data.batch).argmax(dim=1)
        for data in DataLoader(list(graphs), 128)
    ]
    return torch.cat(found)
