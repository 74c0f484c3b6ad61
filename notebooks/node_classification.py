# %% [markdown]
# # Node classification: which edges does the prediction rest on?
#
# The graph is *BA-Shapes*: a random graph with 80 small "houses" of five nodes attached to it.
# The label of a node says whether it is in a house, and where (roof, middle, ground). We train a
# network on it, ask which edges its predictions rest on, and check the answer.

# %%
import torch
from torch_geometric.nn import GraphSAGE

import glassgraph as gg
from glassgraph.datasets import load_dataset

dataset = load_dataset("ba-shapes")
data = dataset.graphs[0]
data

# %% [markdown]
# ## A model of your own
#
# Any PyG model will do. This one is trained in the usual way; Glassgraph asks nothing of it.

# %%
torch.manual_seed(0)
model = GraphSAGE(data.num_features, 32, num_layers=3, out_channels=4, aggr="add")
optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=5e-4)
for _ in range(300):
    optimizer.zero_grad()
    out = model(data.x, data.edge_index)
    train = dataset.split["train"]
    loss = torch.nn.functional.cross_entropy(out[train], data.y[train])
    loss.backward()
    optimizer.step()
model.eval()
hits = model(data.x, data.edge_index).argmax(dim=1) == data.y
f"test accuracy {hits[dataset.split['test']].float().mean():.2f}"

# %% [markdown]
# ## Explain
#
# `saliency` asks how steeply the prediction changes with each message: one backward pass. The
# mask has one score for each edge, in the order of `data.edge_index`; edges that cannot reach the
# node have 0.

# %%
nodes = dataset.explained[:20]
explanations = gg.Saliency(model, task="node", progress=False).explain(data, index=nodes)
explanations[0].edge_mask.shape

# %%
explanations.to_frame().sort_values("score", ascending=False).head()

# %%
axes = explanations.plot(0, top_k=8)

# %% [markdown]
# `explanations.to_html("report.html")` writes all of them as one page that opens offline, and
# `explanations.save("folder")` keeps them.
#
# ## Is it any good?
#
# Two questions. *Do the planted edges rank first?* The area under the ROC curve is 1 if all of
# them do, and 0.5 by chance. *Does the model need these edges, and are they enough?* We shut the
# best 30 % of the edges (`fidelity_plus`: how much probability is lost), and all but those
# (`fidelity_minus`: small is good). Random scores say what the numbers are worth.

# %%
import pandas as pd

from glassgraph.metrics import fidelity, ground_truth_accuracy, random_scores

rows = {}
for name, scores in {"saliency": explanations, "random": random_scores(explanations)}.items():
    (means,) = fidelity(scores, model, data, sparsity=0.7).means()
    rows[name] = {
        "AUC": ground_truth_accuracy(scores).auc,
        "fidelity +": means["fidelity_plus"],
        "fidelity -": means["fidelity_minus"],
    }
pd.DataFrame(rows).T

# %% [markdown]
# A high area says that the method finds the house. Whether the *model* uses the whole house is
# another question: only fidelity asks the model. [Comparing methods honestly](comparing.md) goes
# on from here.
