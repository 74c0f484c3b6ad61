# %% [markdown]
# # Molecules: which bonds make the class?
#
# We make molecules from SMILES, call those with a nitro group "active", train a network, and ask
# which bonds it looks at. The truth is known, because we made it. RDKit reads the SMILES (`pip
# install glassgraph[rdkit]`); the rest needs graphs alone.

# %%
import itertools

import torch
from rdkit import Chem
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GIN, global_add_pool

import glassgraph as gg

ELEMENTS = ["C", "N", "O", "F"]
rings = ["c1ccc({})cc1{}", "C1CCC({})CC1{}", "c1cc({})ncc1{}", "C1CC({})CC1{}"]
groups = ["[N+](=O)[O-]", "N", "O", "F", "C", "CC", "C(=O)O", "C#N"]
smiles = [ring.format(*pair) for ring in rings for pair in itertools.product(groups, groups)]
len(smiles), smiles[1]

# %% [markdown]
# A molecule as a graph: `gg.datasets.from_smiles` reads it and names its atoms and bonds, which is
# why it is drawn as a molecule further down. The network sees one column for each element. A mask
# says which bonds are those of nitro groups; Glassgraph reads `ground_truth_edge_mask` by itself.

# %%
NITRO = Chem.MolFromSmarts("[N+](=O)[O-]")


def graph(text: str) -> Data:
    molecule = gg.datasets.from_smiles(text)
    nitro = torch.zeros(molecule.num_nodes, dtype=torch.bool)
    matches = Chem.MolFromSmiles(text).GetSubstructMatches(NITRO)
    nitro[[atom for match in matches for atom in match]] = True
    molecule.x = torch.eye(len(ELEMENTS))[[ELEMENTS.index(atom) for atom in molecule.node_names]]
    molecule.y = nitro.any().long().view(1)
    molecule.ground_truth_edge_mask = nitro[molecule.edge_index].all(dim=0)
    return molecule


graphs = [graph(text) for text in smiles]


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gnn = GIN(len(ELEMENTS), 32, num_layers=3, out_channels=32)
        self.head = torch.nn.Linear(32, 2)

    def forward(self, x, edge_index, batch=None):
        return self.head(global_add_pool(self.gnn(x, edge_index), batch))


torch.manual_seed(0)
model = Network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(30):
    for batch in DataLoader(graphs, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(batch.x, batch.edge_index, batch.batch), batch.y
        )
        loss.backward()
        optimizer.step()
model.eval()
everything = next(iter(DataLoader(graphs, batch_size=len(graphs))))
hits = model(everything.x, everything.edge_index, everything.batch).argmax(dim=1) == everything.y
f"accuracy {hits.float().mean():.3f}"

# %% [markdown]
# ## Explain the active ones
#
# `occlusion` shuts each bond's messages in turn, and scores it by what the prediction loses. Each
# direction of a bond has a score of its own; the picture shows their mean.

# %%
active = [number for number, one in enumerate(graphs) if int(one.y) == 1]
explanations = gg.Occlusion(model, task="graph", progress=False).explain(graphs, index=active[:25])
axes = explanations.plot(1)

# %%
from glassgraph.metrics import fidelity, ground_truth_accuracy

truth = ground_truth_accuracy(explanations)
(means,) = fidelity(explanations, model, graphs, sparsity=0.7).means()
print(f"area under the ROC curve against the nitro bonds: {truth.auc:.2f} (chance is 0.50)")
print(f"probability lost without the best 30 % of the bonds: {means['fidelity_plus']:.2f}")

# %% [markdown]
# If the first number is low and the second high, the network found another sign of the class than
# the one you had in mind. That is a finding about the network, not a fault of the method:
# [molecules with known answers](../docs/molecules.md) has measured examples.
