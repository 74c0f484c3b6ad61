"""GNNX-Bench's sufficiency and necessity on Mutagenicity."""
