"""Methods written out as their papers put them, and other libraries' versions of them."""
