"""Planted motifs: who finds the edges that the label depends on?"""
