"""What all studies share: how one is declared, run and shown."""
