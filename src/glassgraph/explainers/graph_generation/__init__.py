"""Growing graphs move by move: graphs, rules, a policy, episodes, and what comes of them."""
