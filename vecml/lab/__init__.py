"""What vectorising brings on this machine: the ladder of a model's inference, and one experiment an idea."""
