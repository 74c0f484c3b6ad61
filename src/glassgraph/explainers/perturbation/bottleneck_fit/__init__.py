"""The information bottleneck: its gates, and how they are learned."""
