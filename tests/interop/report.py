"""Counts and worst cases of a run, and the tables at its end."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from bounds import Difference
from case import Case


@dataclass
class Cell:
    """Comparisons of one option with one peer."""

    count: int = 0
    worst: float = 0.0

    def add(self, ratio: float) -> None:
        self.count += 1
        self.worst = max(self.worst, ratio)

    def __str__(self) -> str:
        return f"{self.count} / {self.worst:.2f}" if self.count else "-"


@dataclass
class Report:
    """What a run saw."""

    compared: dict[str, dict[str, Cell]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Cell)))
    left_out: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    not_served: Counter[str] = field(default_factory=Counter)
    errors: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    cases: int = 0

    def add(self, peer: str, case: Case, ratio: float) -> None:
        for option in ["all", *case.options()]:
            self.compared[peer][option].add(ratio)

    def add_errors(self, case: Case, found: dict[str, Difference], is_ordinary: bool) -> None:
        """Absolute errors of ordinary cases, by dtype: values of order 1, and
        scores whose terms do not pass 20."""
        if not is_ordinary:
            return
        row = self.errors[case.result_dtype if case.result_dtype == case.dtype else f"{case.dtype} -> {case.result_dtype}"]
        for name, difference in found.items():
            name = f"weights {case.weights}" if name == "weights" else name
            row[name] = max(row.get(name, 0.0), difference.error)

    def text(self) -> str:
        """Markdown tables, so that a run can be pasted into README.md."""
        parts = [self._options(), self._errors()]
        for title, counts in [*((f"not compared with {peer}", found) for peer, found in self.left_out.items()),
                              ("not served", self.not_served)]:
            if counts:
                rows = [[reason, str(n)] for reason, n in counts.most_common()]
                parts.append(_table([title, "cases"], rows))
        return "\n\n".join(parts)

    def _options(self) -> str:
        peers = list(self.compared)
        options = sorted({option for cells in self.compared.values() for option in cells} - {"all"})
        rows = [[option, *(str(self.compared[peer].get(option, Cell())) for peer in peers)]
                for option in ["all", *options]]
        return _table(["cases / worst error over bound", *peers], rows)

    def _errors(self) -> str:
        columns = sorted({name for row in self.errors.values() for name in row})
        rows = [[dtype, *(f"{row[name]:.2g}" if name in row else "-" for name in columns)]
                for dtype, row in sorted(self.errors.items())]
        return _table(["worst absolute error of ordinary cases", *columns], rows)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
