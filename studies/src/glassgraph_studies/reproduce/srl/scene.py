"""One labeler with the sentences that it is trained, fitted, chosen and tested on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from glassgraph.inputs.task import Task
from glassgraph_studies.reproduce.srl.messages import EdgeTable
from glassgraph_studies.reproduce.srl.models import RoleLabeler, Sizes
from glassgraph_studies.reproduce.srl.propbank import Corpus
from glassgraph_studies.reproduce.srl.settings import LABELERS, Labeler, Settings
from glassgraph_studies.reproduce.srl.training import Trained, train_labeler
from glassgraph_studies.reproduce.srl.weights import trained_or_read

#: A sentence is one instance, with a row of the output for each token.
TASK = Task("graph", rows="nodes")


@dataclass(frozen=True)
class Parts:
    """Graphs of predicates, for each purpose.

    Attributes:
        train: what labelers are trained on.
        validation: what they are chosen on.
        test: what everything is measured on.
        fitted: some of the training graphs, in random order, for GraphMask.
        held_back: some of the validation graphs, to choose among its solutions.
        choosing: others of them, to choose its tolerance.
        corpus: where they come from.
    """

    train: Sequence[Data]
    validation: Sequence[Data]
    test: Sequence[Data]
    fitted: Sequence[Data]
    held_back: Sequence[Data]
    choosing: Sequence[Data]
    corpus: Corpus

    @staticmethod
    def of(corpus: Corpus, settings: Settings) -> Parts:
        """The graphs of a corpus. Sentences of one word have no messages to learn from."""
        train, validation, test = (corpus.graphs(part) for part in ("train", "val", "test"))
        some, others = ([g for g in part if g.num_edges] for part in (train, validation))
        for part in (some, others):
            random.Random(0).shuffle(part)
        last = settings.held_back + settings.choosing
        return Parts(
            train=train,
            validation=validation,
            test=test,
            fitted=some[: settings.fitted],
            held_back=others[: settings.held_back],
            choosing=others[settings.held_back : last],
            corpus=corpus,
        )


@dataclass(frozen=True)
class Scene:
    """A trained labeler, and the sentences.

    Attributes:
        name: of the labeler.
        labeler: what it is.
        trained: the network.
        parts: the sentences.
        table: the edges of the test sentences.
        settings: how large everything is.
        cache: a folder for what was learned; None for none.
    """

    name: str
    labeler: Labeler
    trained: Trained
    parts: Parts
    table: EdgeTable
    settings: Settings
    cache: Path | None

    @staticmethod
    def make(
        name: str, parts: Parts, settings: Settings, cache: Path | None, *, progress: bool
    ) -> Scene:
        """Train a labeler, or read it from a folder.

        Raises:
            WeightsError: if the folder holds another labeler under its name, or cannot be written.
        """
        labeler = LABELERS[name]
        known = parts.corpus.vocabulary
        lstm = settings.lstm if labeler.has_lstm else 0
        sizes = Sizes.of(known, lstm=lstm, layers=labeler.layers, **settings.widths)
        about: dict[str, Any] = {**asdict(settings.schedule), "predicates": len(parts.train)}
        trained = trained_or_read(
            _file(cache, name),
            about,
            sizes,
            lambda: train_labeler(
                sizes, parts.train, parts.validation, settings.schedule, progress=progress
            ),
        )
        table = EdgeTable.of(parts.test, known)
        return Scene(name, labeler, trained, parts, table, settings, cache)

    @property
    def model(self) -> RoleLabeler:
        """The network."""
        return self.trained.model

    def cached(self, what: str) -> Path | None:
        """The file of something that was learned about the labeler."""
        return _file(self.cache, f"{self.name}-{what}")


def _file(cache: Path | None, name: str) -> Path | None:
    return None if cache is None else cache / f"srl-{name}.safetensors"
