"""Relevant subgraphs of BA-2Motifs by GNN-LRP."""
