"""The experiments, a module each: `EXPERIMENT`, its twins as plain functions, and its input maker."""
