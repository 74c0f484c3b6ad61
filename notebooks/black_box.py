# %% [markdown]
# # Explaining a black box
#
# Some models can only be called: compiled ones, another library's, a service. Methods that read
# nothing but outputs explain them. Here the model is a plain function in NumPy: a node is "at
# risk" if at least two of its neighbors are ill. We know its rule, so we can check what comes
# out.

# %%
import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.utils import barabasi_albert_graph

import glassgraph as gg

torch.manual_seed(0)
NODES = 40
ill = (torch.rand(NODES) < 0.3).float()
data = Data(
    x=torch.stack([ill, torch.rand(NODES)], dim=1),  # the second feature is noise
    edge_index=barabasi_albert_graph(NODES, 2),
)


def service(x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
    """No torch inside: no gradient, no hook, no layer."""
    features, (source, destination) = x.numpy(), edge_index.numpy()
    neighbors = np.bincount(destination, weights=features[source, 0], minlength=len(features))
    risk = 1 / (1 + np.exp((-4 * (neighbors - 1.5)).clip(-50, 50)))
    return torch.tensor(np.stack([1 - risk, risk], axis=1), dtype=torch.float32)


answers = service(data.x, data.edge_index).argmax(dim=1)
answers.bincount().tolist()

# %% [markdown]
# ## Which nodes and features are enough?
#
# ZORRO looks for a small set of features of nodes that keeps the class, whatever the others say.
# The model returns probabilities, so the task says so.

# %%
degree = data.edge_index[1].bincount(minlength=NODES)
nodes = torch.nonzero((answers == 1) & (degree < 8)).flatten()[:4]
task = gg.Task("node", return_type="probs")
enough = gg.Zorro(service, task, tau=0.9, progress=False).explain(data, index=nodes)
enough.table("explanations")

# %%
node = int(nodes[0])
chosen = enough[0].node_mask.nonzero().tolist()
neighbors = data.edge_index[0][data.edge_index[1] == node].tolist()
ill_neighbors = [number for number in neighbors if ill[number] == 1]
print(f"node {node}: its ill neighbors are {ill_neighbors}")
print(f"chosen (node, feature): {chosen}")

# %% [markdown]
# ZORRO names ill neighbors and the first feature, and leaves the noise out.
#
# ## Which edges?
#
# Causal screening adds edges one by one, the one that raises the prediction most first.

# %%
explanations = gg.CausalScreening(service, task, progress=False).explain(data, index=nodes)
frame = explanations.to_frame()
frame["from an ill node"] = ill.numpy()[frame["source"]] == 1
frame.sort_values("score", ascending=False).groupby("index").head(2)

# %%
axes = explanations.plot(0)

# %% [markdown]
# How far such a model looks is found by asking it about parts of the graph; `num_hops=1` would
# say it in advance, and save calls. [Which method?](../docs/which_method.md) lists what else only
# calls a model.
