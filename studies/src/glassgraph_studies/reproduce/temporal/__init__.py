"""Planted causes in a stream of events: which method finds them?"""
