"""The waist of Glassgraph: reaches into a model, packs instances; knows no method, no result."""
