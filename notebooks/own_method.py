# %% [markdown]
# # Writing your own method
#
# A method is a class with a name, traits, and one function from a batch of predictions to scores.
# Cutting out receptive fields, packing, checks, files and reports are the library's.
#
# We write one that asks how steeply the prediction rises with each message, and gives 0 to
# messages that speak against it.

# %%
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCN

import glassgraph as gg


@gg.register
class ForGradients(gg.Explainer):
    """Which messages would raise the prediction, if they were a little stronger?

    With ``z`` the gates on messages, all equal to 1: ``S[e] = max(dy / dz[e], 0) ** power``.
    """

    name = "for_gradients"
    traits = gg.Traits(family="gradient", scores=("edge",))

    power: float = gg.setting("exponent of the gradient", default=1.0, above=0)

    def attribute(self, batch):
        gradients = batch.gate_gradients(batch.ones())
        return gg.Attribution(edge=gradients.clamp(min=0) ** self.power)


# %% [markdown]
# ## Use it
#
# It is known by its name, its setting is checked, and everything that takes explanations takes
# its own.

# %%
torch.manual_seed(0)
ends = torch.randint(12, (2, 30))
data = Data(x=torch.randn(12, 4), edge_index=ends)
model = GCN(4, 16, num_layers=2, out_channels=3).eval()

explanations = gg.explain(model, data, "for_gradients", index=[3, 5], power=2.0, progress=False)
axes = explanations.plot(0)

# %%
try:
    gg.explain(model, data, "for_gradients", index=[3], power=-1.0)
except gg.errors.HyperParameterError as error:
    print(error)

# %% [markdown]
# ## Ask it the laws
#
# Every method here keeps the same laws: the same alone and in a batch, the model unchanged
# afterwards, edges in any order, and so on. `check_explainer` asks yours.

# %%
from glassgraph.testing import check_explainer

laws = check_explainer(ForGradients, quick=True)
f"{int(laws.holds.sum())} of {len(laws)} checks hold"

# %% [markdown]
# A method that looks at something it must not see is told so, with the law's name. This one
# counts the edges of the whole batch, so an explanation depends on what else is explained:


# %%
class Crowded(gg.Explainer):
    """Which message raises the prediction, in a way that depends on its neighbors in the batch?"""

    name = "crowded"
    traits = gg.Traits(family="gradient", scores=("edge",), is_signed=True)

    def attribute(self, batch):
        return gg.Attribution(edge=batch.gate_gradients(batch.ones()) / batch.num_edges)


try:
    check_explainer(Crowded, quick=True, laws=["together_is_alone"])
except gg.testing.LawBroken as broken:
    print(str(broken)[:600])

# %% [markdown]
# What the laws cannot know is whether the numbers are those of the paper: for that write a
# literal version of it, in loops, and compare on a tiny graph.
# [Contributing](../docs/contributing.md) says more, also on entry points, by which a method of
# yours is known wherever your package is installed.
