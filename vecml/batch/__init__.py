"""Labels for many files: a plan of units, each of which becomes one part, and a manifest of all parts."""
