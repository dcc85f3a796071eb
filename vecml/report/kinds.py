"""The comparisons of several kinds of machine in words: one sentence for each, which names the machine."""

from vecml.comparison.cluster import KindOfMachine, KindResult
from vecml.numbers import count
from vecml.report.comparison import note, sentence
from vecml.report.summary import markdown


def heading(kind: KindOfMachine, node: str) -> str:
    """Name the machine: its CPUs, the beginning of the key, and the node that measured, of how many."""
    of = f", of {count(len(kind.nodes), 'node')}" if len(kind.nodes) > 1 else ""
    measured = f"node {node}{of}" if node else f"node {', '.join(kind.nodes)}"
    return f"{kind.host} ({kind.short}), {measured}"


def kind_sentence(result: KindResult) -> str:
    """The answer of one kind of machine, which begins with the machine; or why there is none."""
    before = heading(result.kind, result.node)
    if result.comparison is not None:
        return f"{before}: {sentence(result.comparison)}"
    return f"{before}: not measured: {'' if result.failure is None else result.failure.message}"


def kinds_note(results: tuple[KindResult, ...]) -> str:
    """All of them as Markdown, a section for each."""
    parts = []
    for one in results:
        told = markdown(kind_sentence(one)) + "\n" if one.comparison is None else note(one.comparison)
        parts.append(f"### {markdown(heading(one.kind, one.node))}\n\n{told}")
    return "\n".join(parts)
