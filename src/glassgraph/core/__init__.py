"""The waist of Glassgraph: the only package that registers hooks on a model; knows no method."""
