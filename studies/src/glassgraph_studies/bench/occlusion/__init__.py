"""Occlusion of every edge for all test nodes of a citation graph."""
