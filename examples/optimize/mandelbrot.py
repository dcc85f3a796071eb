"""The Mandelbrot set: how many turns until each point escapes."""

import numpy as np


def mandelbrot(real, imaginary, turns):
    """Turns until |z| is over 2, int64 (len(imaginary), len(real)); `turns` where it never is."""
    escaped = np.zeros((len(imaginary), len(real)), dtype=np.int64)
    for row in range(len(imaginary)):
        for column in range(len(real)):
            a = 0.0
            b = 0.0
            count = 0
            for _ in range(turns):
                if a * a + b * b > 4.0:
                    break
                a, b = a * a - b * b + real[column], 2.0 * a * b + imaginary[row]
                count += 1
            escaped[row, column] = count
    return escaped


def make_inputs():
    """A view of 120 by 90 points, 80 turns."""
    return np.linspace(-2.0, 0.6, 120), np.linspace(-1.2, 1.2, 90), 80
