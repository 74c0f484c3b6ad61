"""Semantic role labeling on real sentences: the first study of the GraphMask paper."""
