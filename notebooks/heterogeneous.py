# %% [markdown]
# # A heterogeneous graph: authors, papers, venues
#
# A made-up library. A paper's topic is the topic of its authors; venues take papers of any topic.
# A network that classifies papers should look at who wrote them and not at where they appeared.
# Does it?

# %%
import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv, SAGEConv

import glassgraph as gg

draw = torch.Generator().manual_seed(0)
AUTHORS, PAPERS, VENUES = 40, 120, 6
topic = torch.randint(2, (AUTHORS,), generator=draw)

data = HeteroData()
data["author"].x = torch.stack([topic, 1 - topic], dim=1).float()
data["author"].x += 0.3 * torch.randn(AUTHORS, 2, generator=draw)
data["paper"].x = torch.ones(PAPERS, 1)
data["venue"].x = torch.randn(VENUES, 3, generator=draw)

first = torch.randint(AUTHORS, (PAPERS,), generator=draw)  # each paper has two authors of one topic
same = [torch.nonzero(topic == topic[author]).flatten() for author in first]
second = torch.stack([t[torch.randint(len(t), (1,), generator=draw)][0] for t in same])
papers = torch.arange(PAPERS)
data["author", "writes", "paper"].edge_index = torch.stack(
    [torch.cat([first, second]), torch.cat([papers, papers])]
)
venue = torch.randint(VENUES, (PAPERS,), generator=draw)
data["venue", "prints", "paper"].edge_index = torch.stack([venue, papers])
data["paper", "by", "author"].edge_index = data["author", "writes", "paper"].edge_index.flip(0)
data["paper", "in", "venue"].edge_index = torch.stack([papers, venue])
data["paper"].y = topic[first]
data["author"].node_names = [f"author {number}" for number in range(AUTHORS)]
data["paper"].node_names = [f"paper {number}" for number in range(PAPERS)]
data["venue"].node_names = [f"venue {number}" for number in range(VENUES)]


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        sizes = {"author": 2, "paper": 1, "venue": 3}
        self.one = HeteroConv(
            {kind: SAGEConv((sizes[kind[0]], sizes[kind[2]]), 16) for kind in data.edge_types}
        )
        self.two = HeteroConv({kind: SAGEConv(16, 2) for kind in data.edge_types})

    def forward(self, x_dict, edge_index_dict):
        x_dict = self.one(x_dict, edge_index_dict)
        x_dict = {kind: x.relu() for kind, x in x_dict.items()}
        return self.two(x_dict, edge_index_dict)["paper"]


torch.manual_seed(0)
model = Network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for _ in range(100):
    optimizer.zero_grad()
    out = model(data.x_dict, data.edge_index_dict)
    loss = torch.nn.functional.cross_entropy(out, data["paper"].y)
    loss.backward()
    optimizer.step()
model.eval()
f"accuracy {(out.argmax(dim=1) == data['paper'].y).float().mean():.2f}"

# %% [markdown]
# ## Explain papers
#
# The task names the type of the explained nodes. Masks come by edge type.

# %%
task = gg.Task("node", node_type="paper")
explanations = gg.Occlusion(model, task, progress=False).explain(data, index=range(30))
for kind, mask in explanations[0].edge_mask_dict.items():
    print(kind, tuple(mask.shape))

# %%
axes = explanations.plot(0)

# %% [markdown]
# ## Which relation matters?
#
# One row for each edge type, over all 30 explanations.

# %%
frame = explanations.to_frame()
frame.groupby("edge_type")["score"].agg(["mean", "min", "max", "count"])

# %% [markdown]
# The mean score of `writes` is what a paper's prediction loses, in logits, when one author's edge
# is shut; that of `prints` what it loses without a venue's. The other two relations only bring
# back what other papers say.
