"""The sentences of a report: the question, what each verdict means, and which rounds do not count."""

from vecml.measure.pairs import CROWDED_CPUS, STEAL_SHARE, THROTTLED_SHARE
from vecml.numbers import count, percent
from vecml.report.content import Content


def question(content: Content) -> str:
    """The question that the comparison answers, and how long it was measured."""
    comparison, subject = content.comparison, content.comparison.subject
    number = len(content.arms)
    time = "in a quick look" if comparison.budget == "quick" else f"within {_budget(comparison.budget)}"
    if comparison.noun == "command":
        return f"Which of {count(number, 'command')} is fastest here, from its start to its end? Measured {time}."
    if comparison.noun == "function":
        return f"Which of {count(number, 'function')} is fastest here over the same input? Measured {time}."
    network = f" of a {'-'.join(map(str, subject.widths))} network" if len(subject.widths) > 1 else ""
    ways = f"{count(number, 'way')} to run the inference{network}"
    if content.is_latency:
        sizes = sorted(
            {
                arm.setting.request_rows
                for arm in content.arms.values()
                if arm.setting is not None and arm.setting.request_rows is not None
            }
        )
        rows = " or ".join(f"{size:,}" for size in sizes)
        rows += " row" if sizes == [1] else " rows"
        return f"Which of {ways} answers requests of {rows} soonest here? Measured {time}."
    generated, handed = subject.data_source == "synthetic", subject.data_source == "python"
    rows = f"{subject.n_rows:,} generated rows" if generated else count(subject.n_rows, "row")
    rows += "" if generated or handed else f" of {subject.data_source}"
    return f"Which of {ways} labels {rows} fastest here, with the same answers? Measured {time}."


def verdict_rules(content: Content) -> list[tuple[str, str]]:
    """List the verdicts by their words, each with a text that says when the rules of this comparison give it."""
    rules = content.comparison.rules
    gate = (
        f"what the same code against itself reaches on this machine in one comparison of twenty: {percent(rules.gate)}"
        if rules.gate_source == "qualified"
        else f"{percent(rules.gate)}, a default until vecml qualify measures this machine's"
    )
    return [
        (
            "invalid",
            "The answers are wrong, the arm died or hung, others' threads of its own comparison did not come to rest in"
            f" over {percent(rules.dropped_share, 0)} of its rounds, its speed drifted by more than"
            f" {percent(rules.drift_size, 0)} within its launches, or the baseline's own copy (the null arm) came out"
            f" different (p below {rules.null_level:g}). An invalid arm has no verdict, however fast it is.",
        ),
        (
            "busy",
            f"Others used the CPUs in over {percent(rules.dropped_share, 0)} of its rounds, and fewer than three"
            f" launches have {rules.quiet_rounds} quiet rounds. The verdict holds only under the load that it names:"
            " its interval is wider by what the null arm showed under the same load. It enters neither history nor the"
            " leaderboard's order, and chooses no champion.",
        ),
        ("equivalent", f"The 90 % interval of the ratio lies within {percent(rules.equivalence)} of 1."),
        (
            "faster",
            "The interval of the ratio excludes 1, and the ratio is beyond the A/A gate:"
            f" {gate}. The same holds for slower. An arm with rare slow calls (mean over median by more than"
            f" {percent(rules.rare_size, 0)}) is never called faster.",
        ),
        (
            "undetected",
            "None of the rules above applies. The reason says how small a difference could have been seen.",
        ),
        (
            "no verdict",
            "There were fewer than three launches. They give figures, but no verdict: chance moves the times of one"
            " process by some per cent.",
        ),
    ]


def excluded_rounds() -> str:
    """Write a sentence that says when a round does not count."""
    return (
        f"A round does not count where the hypervisor took over {percent(STEAL_SHARE, 0)} of the CPUs, where a quota"
        f" held the workers back for over {percent(THROTTLED_SHARE, 0)} of the time, where other processes used more"
        f" than {CROWDED_CPUS:g} of the CPUs that the pair needs, or where another worker was still busy. The time"
        " that a round took never decides whether it counts."
    )


def _budget(budget: str) -> str:
    return "five minutes at most (auto)" if budget == "auto" else budget
