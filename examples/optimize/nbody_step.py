"""The accelerations of bodies that attract each other."""

import numpy as np


def nbody_step(position, mass, softening):
    """Accelerations, float64 (n, 3), by Newton's law with a softened distance."""
    n = len(mass)
    acceleration = np.zeros((n, 3))
    for i in range(n):
        for j in range(n):
            if i != j:
                gap = position[j] - position[i]
                squared = gap[0] ** 2 + gap[1] ** 2 + gap[2] ** 2 + softening
                acceleration[i] += mass[j] * gap / squared**1.5
    return acceleration


def make_inputs():
    """250 bodies."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(250, 3)), rng.uniform(0.5, 2.0, size=250), 0.01
