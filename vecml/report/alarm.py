"""The alarm of a night in one line."""

from collections.abc import Iterable

from vecml.history.recorded import Setting, name_of
from vecml.history.watch import Alarm
from vecml.report.history import change_line, title


def alarm_line(alarm: Alarm, among: Iterable[Setting]) -> str:
    """What changed, where, and how often it was measured again.

    among: the settings that it is told from.
    """
    name = name_of(alarm.series.setting, among)
    times = "once" if alarm.fresh == 1 else f"{alarm.fresh} times"
    return f"{title(alarm.series, name)}: {change_line(alarm.change)}; measured again {times}"
