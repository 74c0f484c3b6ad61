"""Graph networks that imitate a model near one prediction, and masks on them."""
