"""Which labelers, how they are trained and explained, and what is published of them.

Everything here was chosen on the validation part. Numbers of the paper are those of
Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), on CoNLL-2009, in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glassgraph_studies.reference.gnn_explainer import PYG

#: Tokens of a batch.
TOKENS = 2500
#: Shares of the kept messages that are left open.
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class Schedule:
    """How long, how fast.

    Attributes:
        epochs: over all predicates.
        learning_rate: of Adam, at its highest.
        warm_up: share of the steps in which the rate rises.
        tokens: of a batch.
    """

    epochs: int = 8
    learning_rate: float = 3e-3
    warm_up: float = 0.15
    tokens: int = TOKENS


@dataclass(frozen=True)
class Published:
    """What the paper reports of a labeler.

    Attributes:
        f1: of the labeler.
        change: of F1 on what GraphMask keeps.
        kept: share of messages that it keeps.
        kappa: Fleiss' over five seeds.
        shares: F1 with each of `SHARES`.
        paths: Table 3, by kind and length: shares of paths with 0, 1, 2 or more kept arcs.
        soft: change of F1 without the edges whose soft gate is low.
    """

    f1: float
    change: float
    kept: float
    kappa: float
    shares: Sequence[float]
    paths: Mapping[tuple[str, int], Sequence[float]]
    soft: float | None = None


@dataclass(frozen=True)
class Labeler:
    """One of the two networks.

    Attributes:
        title: what it is.
        has_lstm: whether there is an LSTM below the graph network.
        layers: of the graph network.
        published: see there.
        least_f1: bar on its F1 on the test part.
        most_lost: bar on what F1 may fall by on the kept messages.
        margin: what it may fall by on the validation part, where the tolerance is chosen.
    """

    title: str
    has_lstm: bool
    layers: int
    published: Published
    least_f1: float
    most_lost: float
    margin: float


LABELERS: dict[str, Labeler] = {
    "lstm": Labeler(
        title="BiLSTM + GCN",
        has_lstm=True,
        layers=1,
        published=Published(
            f1=87.1,
            change=-0.62,
            kept=4,
            kappa=0.79,
            shares=(86.6, 83.1, 74.3, 68.9, 63.8),
            paths={
                ("verb", 1): (0.01, 0.99, 0),
                ("verb", 2): (0.10, 0.90, 0),
                ("verb", 3): (0.79, 0.21, 0),
                ("noun", 1): (0.01, 0.99, 0),
                ("noun", 2): (0.89, 0.11, 0),
                ("noun", 3): (0.73, 0.27, 0),
            },
            soft=-16.1,
        ),
        least_f1=80.0,
        most_lost=1.0,
        margin=0.6,
    ),
    "gcn": Labeler(
        title="GCN only",
        has_lstm=False,
        layers=2,
        published=Published(
            f1=83.8,
            change=-0.79,
            kept=16,
            kappa=0.74,
            shares=(83.1, 74.4, 66.1, 58.9, 56.5),
            paths={
                ("verb", 1): (0.01, 0.99, 0),
                ("verb", 2): (0.07, 0.74, 0.19),
                ("verb", 3): (0.74, 0.22, 0.04),
                ("noun", 1): (0.02, 0.98, 0),
                ("noun", 2): (0.30, 0.25, 0.45),
                ("noun", 3): (0.56, 0.32, 0.12),
            },
        ),
        least_f1=78.5,
        most_lost=1.5,
        margin=0.75,
    ),
}


@dataclass(frozen=True)
class Compared:
    """A method that is held against GraphMask.

    Attributes:
        title: what it is called.
        settings: hyper-parameters that differ from its defaults.
    """

    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)


METHODS: dict[str, Compared] = {
    "integrated_gradients": Compared("integrated gradients", {"on": "messages"}),
    "gnn_explainer": Compared("GNNExplainer", {**PYG, "layerwise": True, "feature_mask": "none"}),
    "saliency": Compared("saliency"),
    "occlusion": Compared("occlusion", {"layerwise": True}),
    "random": Compared("random"),
}


@dataclass(frozen=True)
class Settings:
    """How large everything is.

    Attributes:
        sentences: of each part how many are read, None for all.
        schedule: of training.
        lstm: width of the LSTM, where there is one.
        widths: of labelers, where they differ from `Sizes`.
        fitted: training predicates that GraphMask learns from.
        held_back: validation predicates on which it chooses among its solutions.
        choosing: validation predicates on which the tolerance is chosen.
        fit_tolerance: mean divergence of a token, in nats, for which GraphMask is fitted.
        tolerances: those that are tried of its solutions.
        steps: of GraphMask.
        batch_size: sentences in one step.
        compared: test predicates on which methods are compared.
    """

    sentences: Mapping[str, int] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    lstm: int = 128
    widths: Mapping[str, int | float] = field(default_factory=dict)
    fitted: int = 2000
    held_back: int = 400
    choosing: int = 1500
    fit_tolerance: float = 0.01
    tolerances: Sequence[float] = (0.02, 0.0175, 0.015, 0.0125, 0.01, 0.0075, 0.005)
    steps: int = 1500
    batch_size: int = 32
    compared: int = 300


#: Everything in seconds, to see that it runs.
SMALL = Settings(
    sentences={"train": 50, "val": 23, "test": 19},
    schedule=Schedule(epochs=20, learning_rate=0.03, tokens=400),
    lstm=16,
    widths={"hidden": 32, "learned": 7, "small": 3, "dropout": 0.0},
    fitted=41,
    held_back=17,
    choosing=23,
    fit_tolerance=0.4,
    tolerances=(1.0, 0.4),
    steps=30,
    batch_size=8,
    compared=5,
)
