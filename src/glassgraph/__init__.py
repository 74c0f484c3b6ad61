"""Glassgraph explains the predictions of graph neural networks.

Example:
    >>> import torch
    >>> import glassgraph as gg
    >>> from torch_geometric.data import Data
    >>> from torch_geometric.nn import GCN
    >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    >>> explanations = gg.Saliency(GCN(3, 8, 2, 2), task="node").explain(data, index=[2])
    >>> explanations[0].edge_mask.shape
    torch.Size([3])
"""

import lazy_loader

from glassgraph._version import __version__ as __version__

# Public names, and where they live, stand in `__init__.pyi`: they are imported on first use, so
# that importing the package, and the command line's help, do not wait for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
