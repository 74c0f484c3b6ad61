"""Role labelers: a graph network over the dependency tree, with or without an LSTM below it.

Marcheggiani and Titov, "Encoding Sentences with Graph Convolutional Networks for Semantic Role
Labeling" (EMNLP 2017, https://arxiv.org/abs/1703.04826). For an edge ``u -> v`` of type ``t`` in
direction ``d(t)`` (along the arc or against it)

    message   m = sigmoid(w_d . h_u + c_t) (W_d h_u + b_t)              a gate, and what it lets in
    layer     h_v' = relu(sigmoid(w . h_v + c) (W h_v + b) + sum of m)

so weights go by direction, biases by direction and relation, and the gate is one number. The token
itself is no message.

The labeler reads each token off its last state: ``[N, roles]``. The paper's scores a token together
with the predicate's own state, and knows the lemma there; here the predicate is known by its flag
and lemma in the input alone, so whatever a token knows about it has come along the sentence (the
LSTM) or the tree (the messages).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import to_dense_batch

from glassgraph_studies.reproduce.srl.propbank import DIRECTIONS, Vocabulary


class SyntacticGCN(MessagePassing):
    """One layer.

    Args:
        in_channels: width of the states.
        out_channels: width of the messages and the new states.
        num_edge_types: relations times directions; a type's direction is its remainder by two.
    """

    def __init__(self, in_channels: int, out_channels: int, num_edge_types: int) -> None:
        super().__init__(aggr="add")
        self.own = nn.Linear(in_channels, out_channels)
        self.own_gate = nn.Linear(in_channels, 1)
        self.by_direction = nn.ModuleList(
            nn.Linear(in_channels, out_channels, bias=False) for _ in DIRECTIONS
        )
        self.gate_by_direction = nn.Parameter(torch.zeros(len(DIRECTIONS), in_channels))
        self.by_type = nn.Embedding(num_edge_types, out_channels)
        self.gate_by_type = nn.Embedding(num_edge_types, 1)
        nn.init.zeros_(self.by_type.weight)
        nn.init.zeros_(self.gate_by_type.weight)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        """New states ``[N, out]`` of states ``[N, in]``."""
        own = torch.sigmoid(self.own_gate(x)) * self.own(x)
        received: Tensor = self.propagate(edge_index, x=x, edge_type=edge_type)
        return F.relu(own + received)

    def message(self, x_j: Tensor, edge_type: Tensor) -> Tensor:
        """What each edge brings, ``[E, out]``."""
        value = self.by_type(edge_type)
        for direction, linear in enumerate(self.by_direction):
            row = (edge_type % len(DIRECTIONS) == direction).nonzero().squeeze(1)
            value = value.index_add(0, row, linear(x_j[row]))
        sent: Tensor = self.gate(x_j, edge_type).unsqueeze(1) * value
        return sent

    def gate(self, x_j: Tensor, edge_type: Tensor) -> Tensor:
        """How far each edge is open, ``[E]`` in (0, 1)."""
        weight = self.gate_by_direction[edge_type % len(DIRECTIONS)]
        bias: Tensor = self.gate_by_type(edge_type).squeeze(1)
        return torch.sigmoid((x_j * weight).sum(dim=1) + bias)


@dataclass(frozen=True)
class Sizes:
    """What a labeler is made of: sizes of its vocabularies, and widths.

    Attributes:
        words: number of words with learned vectors, of `tags`, `lemmas`, `edge_types`, `roles`.
        lstm: width of the LSTM in each direction; 0 for none.
        layers: of the graph network.
        hidden: its width.
        learned: width of learned word vectors.
        small: width of the vectors of parts of speech and of the predicate's flag.
        given: width of the given word vectors.
        dropout: while training, on the inputs and between layers.
    """

    words: int
    tags: int
    lemmas: int
    edge_types: int
    roles: int
    lstm: int = 128
    layers: int = 1
    hidden: int = 200
    learned: int = 50
    small: int = 16
    given: int = 50
    dropout: float = 0.2

    def as_dict(self) -> dict[str, int | float]:
        """By name."""
        return asdict(self)

    @staticmethod
    def of(known: Vocabulary, **widths: int | float) -> Sizes:
        """For a vocabulary."""
        return Sizes(
            words=len(known.words),
            tags=len(known.tags),
            lemmas=len(known.lemmas),
            edge_types=known.num_edge_types,
            roles=len(known.roles),
            **widths,  # type: ignore[arg-type]
        )


class RoleLabeler(nn.Module):
    """Role scores ``[N, roles]`` of the tokens of a sentence, or of many side by side."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.word = nn.Embedding(sizes.words, sizes.learned)
        self.tag = nn.Embedding(sizes.tags, sizes.small)
        self.flag = nn.Embedding(2, sizes.small)
        self.lemma = nn.Embedding(sizes.lemmas, sizes.learned)
        width = sizes.given + 2 * sizes.learned + 2 * sizes.small
        if sizes.lstm:
            self.lstm = nn.LSTM(width, sizes.lstm, batch_first=True, bidirectional=True)
            width = 2 * sizes.lstm
        widths = [width, *[sizes.hidden] * sizes.layers]
        self.layers = nn.ModuleList(
            SyntacticGCN(below, above, sizes.edge_types) for below, above in pairwise(widths)
        )
        self.out = nn.Linear(sizes.hidden, sizes.roles)

    def forward(
        self,
        x: Tensor,
        word: Tensor,
        tag: Tensor,
        is_predicate: Tensor,
        lemma: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        batch: Tensor | None = None,
    ) -> Tensor:
        """Role scores; see `glassgraph_studies.reproduce.srl.propbank` for the arguments."""
        inputs = x, word, tag, is_predicate, lemma
        scores: Tensor = self.out(self._states(inputs, edge_index, edge_type, batch)[-1])
        return scores

    @torch.no_grad()
    def soft_gates(
        self,
        x: Tensor,
        word: Tensor,
        tag: Tensor,
        is_predicate: Tensor,
        lemma: Tensor,
        edge_index: Tensor,
        edge_type: Tensor,
        batch: Tensor | None = None,
    ) -> Tensor:
        """How far the network itself opens each message, ``[L, E]``; arguments as of `forward`."""
        inputs = x, word, tag, is_predicate, lemma
        states = self._states(inputs, edge_index, edge_type, batch)
        found = [
            layer.gate(state[edge_index[0]], edge_type)
            for layer, state in zip(_layers(self), states, strict=False)
        ]
        return torch.stack(found)

    def _states(
        self,
        inputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
        edge_index: Tensor,
        edge_type: Tensor,
        batch: Tensor | None,
    ) -> list[Tensor]:
        """States of all tokens below each layer, and above the last."""
        x, word, tag, is_predicate, lemma = inputs
        found = [x, self.word(word), self.tag(tag), self.flag(is_predicate), self.lemma(lemma)]
        state = self._dropped(torch.cat(found, dim=1))
        if self.sizes.lstm:
            state = self._dropped(self._read(state, batch))
        states = [state]
        for layer in self.layers:
            states.append(self._dropped(layer(states[-1], edge_index, edge_type)))
        return states

    def _dropped(self, state: Tensor) -> Tensor:
        return F.dropout(state, self.sizes.dropout, self.training)

    def _read(self, state: Tensor, batch: Tensor | None) -> Tensor:
        """States ``[N, 2 lstm]`` of each token in its own sentence, in both directions."""
        padded, is_token = to_dense_batch(state, batch)
        packed = nn.utils.rnn.pack_padded_sequence(
            padded, is_token.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        read = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=padded.size(1)
        )[0]
        return read[is_token]


def _layers(model: RoleLabeler) -> Iterator[SyntacticGCN]:
    for layer in model.layers:
        assert isinstance(layer, SyntacticGCN)
        yield layer
