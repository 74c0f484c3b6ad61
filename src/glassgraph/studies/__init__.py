"""Studies: one file per experiment, each with the numbers it is held against."""
