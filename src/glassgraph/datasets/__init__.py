"""Graphs with known explanations, loaders for real files, and plain files for your own graphs.

>>> dataset = load_dataset("tree-cycles", seed=0)
>>> dataset.graphs[0].num_nodes, dataset.num_classes
(871, 2)
>>> int(dataset.truth(int(dataset.explained[0])).sum())  # six edges, in both directions
12
"""

from glassgraph.datasets.base import ExplanationDataset
from glassgraph.datasets.cards import CARDS, DatasetCard
from glassgraph.datasets.chemistry import name_atoms
from glassgraph.datasets.event_streams import EventStream, event_stream
from glassgraph.datasets.files import load_graphs, save_graphs
from glassgraph.datasets.load import DATASETS, dataset_card, load_dataset
from glassgraph.datasets.pyg import from_pyg
from glassgraph.datasets.smiles import from_smiles, read_smiles

__all__ = [
    "CARDS",
    "DATASETS",
    "DatasetCard",
    "EventStream",
    "ExplanationDataset",
    "dataset_card",
    "event_stream",
    "from_pyg",
    "from_smiles",
    "load_dataset",
    "load_graphs",
    "name_atoms",
    "read_smiles",
    "save_graphs",
]
