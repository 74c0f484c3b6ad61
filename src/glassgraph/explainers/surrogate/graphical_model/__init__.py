"""A prediction and the nodes around it as random variables: samples, tests, blankets, networks."""
