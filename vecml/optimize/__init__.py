"""The five steps on a function of the user's own: bottleneck, replacement, validation, dtype, measurement."""
