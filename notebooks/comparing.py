# %% [markdown]
# # Comparing methods honestly
#
# Any method gives a picture. Four habits keep one honest:
#
# 1. random scores stand beside every number (the floor), and so does a search for the metric itself
#    (the ceiling);
# 2. what is learned is learned on other predictions than those that are measured;
# 3. all methods leave out the same share of edges, removed in the same way;
# 4. intervals are shown, and where they overlap nobody has won.

# %%
import glassgraph as gg
from glassgraph.datasets import load_dataset
from glassgraph.models import reference_model

dataset = load_dataset("tree-cycles")
model = reference_model(dataset, progress=False, epochs=120).model
data, nodes = dataset.graphs[0], dataset.explained

# %% [markdown]
# `gg.benchmark` does all four. *Robust fidelity* removes a random part of what is to be removed,
# so that the model is asked about graphs that resemble those it knows.

# %%
found = gg.benchmark(
    model,
    data,
    ["saliency", "edge_gradients", "occlusion", "gnn_explainer"],
    ["robust_fidelity"],
    task="node",
    index=nodes[:15],
)
table = found.frame()
delta = table[table["metric"] == "robust_fidelity_delta"]
delta[["method", "level", "value", "low", "high", "n"]]

# %% [markdown]
# What the numbers allow to say, in sentences:

# %%
print(found.verdict())

# %% [markdown]
# ## Do methods agree?
#
# Two methods can be alike because both are right, or because both follow the degrees of nodes.
# The last rows, random scores and a mask of ones, say what a similarity is worth.

# %%
methods = ("saliency", "edge_gradients", "occlusion")
runs = {name: gg.explain(model, data, name, index=nodes[:15], progress=False) for name in methods}
gg.compare_all(runs).matrix("cosine")

# %% [markdown]
# ## Fidelity and truth are different questions
#
# The cycles were planted, so we know which edges *should* count. Whether they count *for this
# model* only the model can say.

# %%
import pandas as pd

from glassgraph.metrics import fidelity, ground_truth_accuracy

rows = {
    name: {
        "AUC against the cycles": ground_truth_accuracy(run).auc,
        "fidelity -": fidelity(run, model, data, sparsity=0.7).means()[0]["fidelity_minus"],
    }
    for name, run in runs.items()
}
pd.DataFrame(rows).T

# %% [markdown]
# [The survey](../docs/survey.md) has all methods on ten data sets, and [Which
# method?](../docs/which_method.md) what follows from it.
