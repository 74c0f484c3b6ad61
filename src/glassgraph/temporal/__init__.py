"""Temporal graphs: which past events make a model expect a link?

>>> import torch
>>> from torch_geometric.data import TemporalData
>>> import glassgraph as gg
>>> class SeenBefore:
...     def reset(self):
...         self.pairs = []
...
...     def replay(self, events):
...         self.pairs += list(zip(events.src.tolist(), events.dst.tolist()))
...
...     def score(self, src, dst, t):
...         return torch.tensor([float((int(src), int(dst)) in self.pairs)])
>>> events = TemporalData(
...     src=torch.tensor([0, 1, 0]),
...     dst=torch.tensor([2, 3, 2]),
...     t=torch.tensor([1, 4, 6]),
...     msg=torch.zeros(3, 0),
... )
>>> found = gg.temporal.explain(SeenBefore(), events, index=2, progress=False)
>>> found[0].score
tensor([1., 0.])

Without its best past event the link is expected no longer, and that event alone is enough:

>>> table = gg.temporal.fidelity(SeenBefore(), events, found, sizes=[1], progress=False)
>>> float(table["without"].iloc[0]), float(table["only"].iloc[0])
(1.0, 0.0)
"""

from glassgraph.temporal.explain import explain
from glassgraph.temporal.fidelity import fidelity, fidelity_table
from glassgraph.temporal.files import read_events
from glassgraph.temporal.navigator import Navigator, fit_navigator
from glassgraph.temporal.protocol import TemporalModel
from glassgraph.temporal.results import EventExplanation, EventExplanations, load
from glassgraph.temporal.settings import Settings
from glassgraph.temporal.tgn import TGN

__all__ = [
    "TGN",
    "EventExplanation",
    "EventExplanations",
    "Navigator",
    "Settings",
    "TemporalModel",
    "explain",
    "fidelity",
    "fidelity_table",
    "fit_navigator",
    "load",
    "read_events",
]
