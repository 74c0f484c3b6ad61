"""Published experiments, and measurements beside other libraries, for Glassgraph.

``glassgraph reproduce`` and ``glassgraph bench`` come from here. A command's folder has its name:
`glassgraph_studies.reproduce.xgnn` is ``glassgraph reproduce xgnn``.
"""
