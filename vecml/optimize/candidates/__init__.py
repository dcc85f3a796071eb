"""What may stand in the target's place: one file a candidate, and a registry that names them all."""
