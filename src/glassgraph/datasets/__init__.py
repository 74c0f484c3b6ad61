"""Graphs with known explanations, loaders for real files, and plain files for your own graphs.

>>> from glassgraph.datasets import load_dataset
>>> dataset = load_dataset("tree-cycles", seed=0)
>>> dataset.graphs[0].num_nodes, dataset.num_classes
(871, 2)
>>> int(dataset.truth(int(dataset.explained[0])).sum())  # six edges, in both directions
12
"""

import lazy_loader

# As in `glassgraph`, names are imported on first use: to explain takes none of them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
