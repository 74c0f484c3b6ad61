# %% [markdown]
# # Link prediction: why should these two be connected?
#
# People in four groups; links are frequent within a group. A network learns to predict links, and
# we ask which known links a prediction rests on.

# %%
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv
from torch_geometric.utils import stochastic_blockmodel_graph, to_undirected

import glassgraph as gg

torch.manual_seed(0)
GROUPS, SIZE = 4, 15
chances = torch.full((GROUPS, GROUPS), 0.01) + 0.34 * torch.eye(GROUPS)
edge_index = stochastic_blockmodel_graph([SIZE] * GROUPS, chances, directed=False)
group = torch.arange(GROUPS).repeat_interleave(SIZE)

upper = edge_index[:, edge_index[0] < edge_index[1]]
upper = upper[:, torch.randperm(upper.shape[1])]
held, known = upper[:, :20], upper[:, 20:]  # 20 links are hidden, and predicted
data = Data(x=torch.eye(GROUPS * SIZE), edge_index=to_undirected(known))


class Links(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = GCNConv(GROUPS * SIZE, 32), GCNConv(32, 16)

    def forward(self, x, edge_index, edge_label_index):
        h = self.two(self.one(x, edge_index).relu(), edge_index)
        source, destination = h[edge_label_index]
        return (source * destination).sum(dim=-1)  # one logit for each asked link


model = Links()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(100):
    optimizer.zero_grad()
    others = torch.randint(GROUPS * SIZE, known.shape)
    asked = torch.cat([known, others], dim=1)
    wanted = torch.cat([torch.ones(known.shape[1]), torch.zeros(others.shape[1])])
    out = model(data.x, data.edge_index, asked)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(out, wanted)
    loss.backward()
    optimizer.step()
model.eval()
out = model(data.x, data.edge_index, held)
f"hidden links that are found: {(out > 0).float().mean():.2f}"

# %% [markdown]
# ## Explain
#
# The asked links stand in `edge_label_index`, where PyG puts them; `index` counts its columns.
# The model returns one logit for each, so the mode is binary.

# %%
data.edge_label_index = held
found = torch.nonzero(out > 0).flatten()[:10]
task = gg.Task("edge", mode="binary_classification")
explanations = gg.IntegratedGradients(model, task, progress=False).explain(data, index=found)
axes = explanations.plot(0, top_k=8)

# %% [markdown]
# ## Do explanations stay within the group?
#
# Most edges near these links lie within a group, so a count would say little; the mean score says
# more.

# %%
frame = explanations.to_frame()
groups = group.numpy()
frame["within"] = groups[frame["source"]] == groups[frame["destination"]]
frame.groupby("within")["score"].agg(["mean", "count"])

# %% [markdown]
# Edges within the group speak for the link. Scores are in logits: those of messages add up to the
# change of the link's logit on the way from no messages to all of them.
