"""The classifier: what it is, how it learns, how it is scored, how it is kept."""
