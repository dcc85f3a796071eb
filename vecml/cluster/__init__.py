"""A cluster of Ray: how vecml joins one, what is started there, and how that is heard of."""
