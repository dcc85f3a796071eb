"""The mean payoff of an option, by Monte Carlo with a generator of its own."""


def monte_carlo(draws, seed):
    """Mean of max(u + v - 1, 0) over pairs of uniform numbers, from a linear congruential generator."""
    state = seed
    total = 0.0
    for _ in range(draws):
        state = (1_103_515_245 * state + 12_345) % 2_147_483_648
        first = state / 2_147_483_648
        state = (1_103_515_245 * state + 12_345) % 2_147_483_648
        second = state / 2_147_483_648
        payoff = first + second - 1.0
        if payoff > 0.0:
            total += payoff
    return total / max(draws, 1)


def make_inputs():
    """300,000 pairs."""
    return 300_000, 1
