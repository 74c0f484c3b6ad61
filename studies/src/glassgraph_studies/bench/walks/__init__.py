"""GNN-LRP's walks of largest relevance in networks of several depths."""
