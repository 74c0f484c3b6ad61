"""Fitting GraphMask beside a version that is written out."""
