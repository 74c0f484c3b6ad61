"""GraphMask on questions over several documents: sections 6 and I to L of its paper, on other data.

Schlichtkrull, De Cao and Titov, "Interpreting Graph Neural Networks for NLP With Differentiable
Edge Masking" (ICLR 2021, https://arxiv.org/abs/2010.00577), analyze an Entity-GCN on WikiHop. Here
the same network answers two-hop questions derived from 2WikiMultihopQA, of which it is known that
they need two pages. Everything is chosen on validation questions:

* the weights of the network, by accuracy;
* the tolerance of GraphMask: the loosest of `TOLERANCES` at which accuracy falls by no more than
  `MOST_LOST` points.

A seed is that of network and gates; questions are the same for all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from glassgraph.diagnose import fleiss_kappa, layer_knockout
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.perturbation.graphmask import GraphMask
from glassgraph.explainers.registry import make_explainer
from glassgraph.inputs.task import Task
from glassgraph_studies.reference.gnn_explainer import PYG
from glassgraph_studies.reproduce.qa import structure
from glassgraph_studies.reproduce.qa.graphs import RELATIONS, Vectors, make_graph
from glassgraph_studies.reproduce.qa.masked import Masked
from glassgraph_studies.reproduce.qa.network import EntityGCN, MatrixEntityGCN
from glassgraph_studies.reproduce.qa.questions import Chains, Question, read_wikihop
from glassgraph_studies.reproduce.qa.training import accuracy, answers, teach

TASK = Task("graph")
#: Message-passing steps of the networks.
LAYERS = (0, 2, 3)
#: How often training questions are made anew, with other distractors.
DRAWS = 4
#: Bounds on the divergence, in nats; the first that costs no more than `MOST_LOST` is taken.
TOLERANCES = (0.03, 0.02, 0.01, 0.005)
#: Points of accuracy that may be lost on validation questions.
MOST_LOST = 1.0
#: Training questions that gates are fitted on.
FITTED = 600
#: Settings of GraphMask that differ from its defaults.
SETTINGS: dict[str, Any] = {
    "steps": 300,
    "prune": True,
    "batch_size": 32,
    "hidden_channels": 48,
    "memory_budget": 4 << 30,
}
#: Shares of the kept messages that are still open, and how often they are drawn.
SHARES, REPEATS = (1.0, 0.75, 0.5, 0.25, 0.0), 3
#: Seeds of the gates of one network whose agreement is measured.
AGREEING = 5
#: Questions that methods see one by one.
FEW = 40
#: Methods whose attribution is held against what happens without a layer.
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "GraphMask, one by one": (
        "graphmask",
        {"amortized": False, "solver": "lagrangian", "steps": 200, "tolerance": 0.03},
    ),
    "GNNExplainer": (
        "gnn_explainer",
        {**PYG, "layerwise": True, "feature_mask": "none", "epochs": 200, "learning_rate": 0.1},
    ),
    "integrated gradients": ("integrated_gradients", {"on": "messages"}),
}
FORMS: Mapping[str, type[EntityGCN]] = {"list": EntityGCN, "matrix": MatrixEntityGCN}


@dataclass(frozen=True)
class Reading:
    """The questions, and their graphs.

    Attributes:
        questions: for validation and test, and further ones (``"WikiHop"``, ``"2Wiki"``).
        graphs: of these.
        train: graphs of the training questions, several times with other distractors.
    """

    questions: Mapping[str, Sequence[Question]]
    graphs: Mapping[str, Sequence[Data]]
    train: Sequence[Sequence[Data]]

    @staticmethod
    def read(root: Path, draws: int = DRAWS, most: int | None = None) -> Reading:
        """Read the files under a folder.

        Args:
            root: the folder above `twowiki_chains` and `glove_small`.
            draws: how often training questions are made.
            most: chains of each part at most, None for all.

        Raises:
            DatasetError: if files are not there.
        """
        vectors = Vectors.read(root / "glove_small" / "glove.6B.50d.subset.npz")
        chains = Chains.read(root / "twowiki_chains")
        parts = {name: chain[:most] for name, chain in chains.split().items()}
        questions = {name: chains.questions(parts[name]) for name in ("val", "test")}
        learned = {title for chain in parts["train"] for title in (chain.subject, chain.bridge)}
        questions |= {name: each[:most] for name, each in _further(root, learned).items()}
        train = [chains.questions(parts["train"], seed) for seed in range(draws)]
        return Reading(
            questions,
            {name: [make_graph(q, vectors) for q in part] for name, part in questions.items()},
            [[make_graph(question, vectors) for question in part] for part in train],
        )

    @property
    def width(self) -> int:
        """Features of a mention."""
        return int(self.train[0][0].x.size(1))

    def chance(self) -> float:
        """Percent of the test questions that a guess gets right."""
        return 100.0 * statistics.fmean(1 / len(q.candidates) for q in self.questions["test"])


def _further(root: Path, learned: set[str]) -> dict[str, list[Question]]:
    """Questions of others that nothing was learned on, also those without a page that was seen."""
    hops = [root / "wikihop_sample" / f"{part}.sample.json" for part in ("train", "dev")]
    wiki = root / "twowikimultihop_sample" / "dev.sample.wikihop-format.json"
    found: dict[str, list[Question]] = {}
    if all(file.exists() for file in hops):
        found["WikiHop"] = [question for file in hops for question in read_wikihop(file)]
    if wiki.exists():
        found["2Wiki"] = read_wikihop(wiki)
        found["2Wiki, new pages"] = [
            question
            for question in found["2Wiki"]
            if learned.isdisjoint(title for title, _ in question.pages)
        ]
    return found


def run_qa(
    root: Path,
    seeds: Sequence[int] = range(3),
    epochs: int = 12,
    steps: int | None = None,
    agreeing: int = AGREEING,
    questions: int | None = None,
    progress: bool = True,
) -> Iterator[tuple[list[dict[str, Any]], list[structure.Asked]]]:
    """Teach networks, fit GraphMask, and measure.

    Args:
        root: the folder of the data, see `Reading.read`.
        seeds: each has its own networks and gates.
        epochs: of a network.
        steps: of GraphMask; the study's own if None.
        agreeing: gates of the first seed's network whose agreement is measured.
        questions: of each part at most, None for all.
        progress: show progress bars.

    Yields:
        Rows, whose ``table`` says what they are about, and test questions for a figure, if there
        is something to show. Shares are in percent; ``n`` is the number of questions, or of what a
        share is taken of.

    Raises:
        DatasetError: if files are not there.
    """
    reading = Reading.read(Path(root), most=questions)
    chance, first = reading.chance(), None
    for seed in seeds:
        networks = {layers: _network(reading, layers, seed, epochs) for layers in LAYERS}
        reached = {
            f"layers_{layers}": 100.0 * accuracy(network, reading.graphs["test"])
            for layers, network in networks.items()
        }
        number = len(reading.graphs["test"])
        row = {"table": "accuracy", "seed": seed, "n": number, "chance": chance, **reached}
        yield [row], []
        network = networks[LAYERS[-1]]
        for form, kind in FORMS.items():
            study = _Study.fit(reading, _as(kind, network), form, seed, steps, progress)
            rows = [study.summary(), *study.by_relation()]
            if form == "list":
                first = first or study
                rows += [*study.needed(), *study.shares(), *study.structure(), *study.further()]
                rows += study.layers(progress)
            yield rows, study.asked() if form == "list" else []
    if first is not None and agreeing > 1:
        yield list(first.agreement(agreeing, steps, progress)), []


def _network(reading: Reading, layers: int, seed: int, epochs: int) -> EntityGCN:
    torch.manual_seed(seed)  # noqa: TID251 - weights are drawn from it; there is no other way
    network = EntityGCN(reading.width, layers)
    teach(network, reading.train, reading.graphs["val"], epochs, seed)
    return network


def _as(kind: type[EntityGCN], network: EntityGCN) -> EntityGCN:
    """The same network in another form."""
    found = kind(network.width_in, network.num_layers)
    found.load_state_dict(network.state_dict())
    return found.eval()


def fit(
    reading: Reading,
    network: EntityGCN,
    seed: int,
    steps: int | None = None,
    progress: bool = False,
) -> GraphMask:
    """GraphMask with the tolerance that validation questions allow."""
    settings = {**SETTINGS, **({} if steps is None else {"steps": steps})}
    explainer = GraphMask(
        network, TASK, seed=seed, progress=progress, tolerance=TOLERANCES[0], **settings
    )
    learned, held = list(reading.train[0][:FITTED]), list(reading.graphs["val"])
    explainer.fit(
        learned + held, range(len(learned)), validation=range(len(learned), len(learned + held))
    )
    for tolerance in TOLERANCES:
        explainer.choose(tolerance)
        masked = Masked.of(explainer, held)
        if masked.accuracy(masked.kept) >= masked.accuracy() - MOST_LOST:
            break
    return explainer


@dataclass(frozen=True)
class _Study:
    """A fitted explainer of a seed's network, and what it keeps of the test questions."""

    reading: Reading
    seed: int
    form: str
    explainer: GraphMask
    masked: Masked
    seconds: float

    @staticmethod
    def fit(
        reading: Reading,
        network: EntityGCN,
        form: str,
        seed: int,
        steps: int | None,
        progress: bool,
    ) -> _Study:
        start = time.perf_counter()
        explainer = fit(reading, network, seed, steps, progress)
        seconds = time.perf_counter() - start
        masked = Masked.of(explainer, reading.graphs["test"])
        return _Study(reading, seed, form, explainer, masked, seconds)

    @property
    def model(self) -> EntityGCN:
        """The network."""
        assert isinstance(self.explainer.model, EntityGCN)
        return self.explainer.model

    def row(self, table: str, **columns: Any) -> dict[str, Any]:
        """A row of this seed."""
        return {"table": table, "seed": self.seed, "form": self.form, **columns}

    def asked(self) -> list[structure.Asked]:
        """The test questions with what is kept."""
        chosen = answers(self.model, self.masked.graphs).tolist()
        questions = self.reading.questions["test"]
        kept = self.masked.of_graph(self.masked.kept)
        return [
            structure.Asked(*each)
            for each in zip(questions, self.masked.graphs, kept, chosen, strict=True)
        ]

    def summary(self) -> dict[str, Any]:
        """Accuracy and share kept."""
        masked = self.masked
        kept, sent = masked.counts(masked.kept), masked.sent
        whole, after = masked.accuracy(), masked.accuracy(masked.kept)
        chain = structure.chains(self.asked())
        return self.row(
            "graphmask",
            n=len(masked.graphs),
            accuracy=whole,
            masked=after,
            change=after - whole,
            kept=_percent(kept.sum(), sent.sum()),
            complement=_percent(kept[:, RELATIONS.index("COMPLEMENT")].sum(), kept.sum()),
            chain=chain.percent,
            chains=chain.number,
            tolerance=self.explainer.tolerance,
            is_met=self.explainer.outcome["is_met"],
            fit_seconds=self.seconds,
        )

    def by_relation(self) -> Iterator[dict[str, Any]]:
        """Table 2: what is kept by layer and relation."""
        kept, sent = self.masked.counts(self.masked.kept), self.masked.sent
        for layer in range(len(kept)):
            for relation, name in enumerate(RELATIONS):
                yield self.row(
                    "relations",
                    layer=layer,
                    relation=name,
                    n=int(sent[layer, relation]),
                    kept=_percent(kept[layer, relation], sent[layer, relation]),
                    of_kept=_percent(kept[layer, relation], kept.sum()),
                    of_all=_percent(sent[layer, relation], sent[layer].sum()),
                )

    def needed(self) -> Iterator[dict[str, Any]]:
        """Accuracy where one relation is shut in one layer, and where COMPLEMENT is in all."""
        masked, every = self.masked, range(len(self.masked.kept))
        cases = [(f"{layer}", [layer], name) for layer in every for name in RELATIONS]
        for word, layers, name in [*cases, ("all", list(every), "COMPLEMENT")]:
            is_open = torch.ones_like(masked.kept)
            for layer in layers:
                is_open[layer] = masked.relation != RELATIONS.index(name)
            yield self.row("needed", layer=word, relation=name, accuracy=masked.accuracy(is_open))

    def shares(self) -> Iterator[dict[str, Any]]:
        """Table 5: accuracy on random shares of the kept messages."""
        generator = torch.Generator().manual_seed(self.seed)
        for share in SHARES:
            times = REPEATS if 0 < share < 1 else 1
            found = [
                self.masked.accuracy(self.masked.random_share(share, generator))
                for _ in range(times)
            ]
            yield self.row("shares", share=100.0 * share, accuracy=statistics.fmean(found))

    def structure(self) -> Iterator[dict[str, Any]]:
        """What the paper's text says of paths, mentions and inverse pairs."""
        asked, layers = self.asked(), len(self.masked.kept)
        found = {
            "subject's messages kept": structure.leaves_subject(asked),
            "in layer 0": structure.leaves_subject(asked, 0),
            "answer receives in the last layer": structure.Share.of(
                each.targets_answer() for each in asked
            ),
        }
        for words, measure in (
            ("on a path from the subject", structure.paths),
            ("inverse kept as well", structure.inverse_pairs),
        ):
            found |= {
                f"{words}, layer {layer}": share
                for layer, share in enumerate(measure(asked, layers))
            }
        for what, share in found.items():
            yield self.row("structure", what=what, share=share.percent, n=share.number)

    def further(self) -> Iterator[dict[str, Any]]:
        """Questions of other collections, on which nothing was learned."""
        for name, graphs in self.reading.graphs.items():
            if name in ("val", "test"):
                continue
            masked = Masked.of(self.explainer, graphs)
            yield self.row(
                "further",
                dataset=name,
                n=len(graphs),
                named=sum(bool((each.candidate == each.y).any()) for each in graphs),
                chance=100.0
                * statistics.fmean(1 / len(q.candidates) for q in self.reading.questions[name]),
                accuracy=masked.accuracy(),
                masked=masked.accuracy(masked.kept),
                kept=_percent(masked.kept.sum(), masked.kept.numel()),
            )

    def layers(self, progress: bool) -> Iterator[dict[str, Any]]:
        """Tables 6 and 7: layers shut, and how attribution is spread over them."""
        graphs = list(self.masked.graphs)
        yield from self._knockout("GraphMask", self.explainer, graphs)
        for title, (name, settings) in METHODS.items():
            explainer = make_explainer(
                name, self.model, TASK, seed=self.seed, progress=progress, **settings
            )
            yield from self._knockout(title, explainer, graphs[:FEW])

    def _knockout(
        self, title: str, explainer: Explainer, graphs: list[Data]
    ) -> Iterator[dict[str, Any]]:
        explanations = explainer.explain(graphs)
        replacement: Any = "own" if title == "GraphMask" else "zero"
        for row in layer_knockout(
            explainer, graphs, explanations=explanations, replacement=replacement
        ).to_dict("records"):
            share = row["kept_share"] if title == "GraphMask" else row["attribution_share"]
            yield self.row(
                "layers",
                method=title,
                layer=row["layer"],
                n=len(graphs),
                attribution=100.0 * share,
                accuracy=100.0 * row["accuracy"],
            )

    def agreement(
        self, agreeing: int, steps: int | None, progress: bool
    ) -> Iterator[dict[str, Any]]:
        """Fleiss' kappa of gates with other seeds, over all messages and by layer."""
        masks = [self.masked.kept]
        for seed in range(self.seed + 1, self.seed + agreeing):
            explainer = fit(self.reading, self.model, seed, steps, progress)
            masks.append(Masked.of(explainer, self.masked.graphs).kept)
        for word, chosen in [
            ("all", slice(None)),
            *((str(layer), slice(layer, layer + 1)) for layer in range(len(masks[0]))),
        ]:
            votes = torch.stack([mask[chosen].reshape(-1) for mask in masks])
            yield self.row(
                "agreement",
                layer=word,
                kappa=_kappa(votes),
                gates=len(masks),
                n=votes.size(1),
                kept=[_percent(each.sum(), each.numel()) for each in votes],
            )


def _kappa(votes: Tensor) -> float | None:
    """Fleiss' kappa of decisions ``[seeds, messages]``; None where all decide one way."""
    if len(votes) < 2 or bool(votes.all()) or not bool(votes.any()):
        return None
    return fleiss_kappa(votes)


def _percent(part: Tensor | int, whole: Tensor | int) -> float:
    return 100.0 * float(part) / max(float(whole), 1.0)
