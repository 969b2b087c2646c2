"""Lines over a logarithmic axis of counts, as an SVG, with nothing but Python."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 40, 48
COLOURS = ("#08306b", "#d94801", "#238b45", "#7a0177", "#636363")
STYLE = "text{font:12px sans-serif;fill:#222}.title{font-weight:bold;font-size:14px}"


@dataclass(frozen=True)
class LineChart:
    """What is drawn: y over x for each name; both axes from 0 or 1 on."""

    title: str
    x_label: str
    y_label: str
    x: Sequence[int]
    """Rising, from 1 on; drawn at equal distances of their logarithms."""
    lines: Mapping[str, Sequence[float]]
    """One y for each x; at most five lines."""

    def svg(self) -> str:
        """The whole picture."""
        top_y = _round_up(max(max(y) for y in self.lines.values()))
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
               f'viewBox="0 0 {WIDTH} {HEIGHT}"><style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>',
               _text(LEFT, 20, self.title, 'class="title"'), _text(LEFT, HEIGHT - 10, self.x_label),
               _text(4, TOP - 6, self.y_label)]
        for tick in range(5):
            value = top_y * tick / 4
            y = self._y(value, top_y)
            out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            out.append(_text(LEFT - 6, y + 4, f"{value:g}", 'text-anchor="end"'))
        out += [_text(self._x(n), HEIGHT - BOTTOM + 16, str(n), 'text-anchor="middle"') for n in self.x]
        for (name, values), colour in zip(self.lines.items(), COLOURS, strict=False):
            out += self._line(name, values, colour, top_y)
        return "\n".join(out) + "\n</svg>\n"

    def _line(self, name: str, values: Sequence[float], colour: str, top_y: float) -> list[str]:
        points = [(self._x(n), self._y(value, top_y)) for n, value in zip(self.x, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
        for (x, y), n, value in zip(points, self.x, values):
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
                       f"<title>{html.escape(name)}, {n}: {value:.4g}</title></circle>")
        return out + [_text(points[-1][0] + 8, points[-1][1] + 4, name, f'style="fill:{colour}"')]

    def _x(self, n: int) -> float:
        place = math.log(n / self.x[0]) / math.log(self.x[-1] / self.x[0])
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float, top_y: float) -> float:
        return HEIGHT - BOTTOM - value / top_y * (HEIGHT - TOP - BOTTOM)


def _text(x: float, y: float, words: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{html.escape(words)}</text>'


def _round_up(value: float) -> float:
    """To 1, 2, 4 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
