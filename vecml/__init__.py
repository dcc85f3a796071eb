"""vecml: every way to run a classifier on this machine, measured, proven to agree, and tracked."""
