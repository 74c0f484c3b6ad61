"""RDT-fidelity and sparsity on Cora, as in ZORRO's paper."""
