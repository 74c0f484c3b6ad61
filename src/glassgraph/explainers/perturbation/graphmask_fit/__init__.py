"""How GraphMask's gates are learned."""
