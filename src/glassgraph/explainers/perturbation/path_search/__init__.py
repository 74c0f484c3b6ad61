"""Best paths between the two ends of links, many links at once."""
