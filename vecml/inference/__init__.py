"""What is done with engines: inference over a table, the choice of a setting, prediction from files."""
