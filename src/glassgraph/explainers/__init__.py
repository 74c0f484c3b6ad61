"""Explanation methods: a base class, a registry, and one folder for each family."""
