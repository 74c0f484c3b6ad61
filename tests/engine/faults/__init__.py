"""``make cluster-check``: jobs of thousands of nodes whose parts die; some of it needs root."""
