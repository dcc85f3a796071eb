"""What else ran on the machine while something was measured, as figures and in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from vecml.measure.records import Window
from vecml.numbers import percent


@dataclass(frozen=True)
class MeanLoad:
    """The load of the machine by others, as the mean over some time; None where it is unknown.

    Attributes:
        foreign_cpus: CPUs' worth of time that other processes used.
        usable_cpus: number of CPUs that the measurement may use.
        steal_share: share of these CPUs' time that the hypervisor gave to others.
        throttled_share: share of the time in which a quota held us back.
    """

    foreign_cpus: float | None
    usable_cpus: int
    steal_share: float | None
    throttled_share: float | None

    @property
    def words(self) -> str:
        """Say what went on, to be read after "while": "others used 0.9 of 2 CPUs"."""
        return self.words_of("others")

    def words_of(self, who: str) -> str:
        """The same, with another word for who it was."""
        said = []
        if self.foreign_cpus is not None and self.foreign_cpus >= 0.05:
            said.append(f"{who} used {self.foreign_cpus:.1f} of {self.usable_cpus} CPUs")
        if self.steal_share is not None and self.steal_share >= 0.01:
            said.append(f"the hypervisor gave {percent(self.steal_share, 0)} of the CPUs' time to others")
        if self.throttled_share is not None and self.throttled_share >= 0.01:
            said.append(f"a CPU quota held the workers back for {percent(self.throttled_share, 0)} of the time")
        return " and ".join(said) or "the machine was disturbed"


def mean_load(windows: Iterable[Window]) -> MeanLoad:
    """The mean load over these windows, each weighted with its time; at least one window.

    A window that does not know a figure is left out of that figure.
    """
    seen = list(windows)

    def mean(values: Iterable[tuple[float | None, float]]) -> float | None:
        known = [(value, seconds) for value, seconds in values if value is not None and seconds > 0]
        total = sum(seconds for _, seconds in known)
        return sum(value * seconds for value, seconds in known) / total if total else None

    return MeanLoad(
        foreign_cpus=mean((one.foreign_cpus, one.seconds) for one in seen),
        usable_cpus=max(one.usable_cpus for one in seen),
        steal_share=mean((one.steal_share, one.seconds) for one in seen),
        throttled_share=mean(
            (None if one.throttled_seconds is None else one.throttled_seconds / one.seconds, one.seconds)
            for one in seen
            if one.seconds > 0
        ),
    )
