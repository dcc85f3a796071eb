"""A referee: whether a candidate that nobody trusts may take a reference's place."""
