"""What each token of river_bank attends to, as a picture.

  heat_map.py [--target HOST:PORT] [--heads 2,4,10] [--out river_bank.svg]

Asks a server for the attention weights of one layer of a sentence encoder
(client/examples/river_bank) and writes an SVG: one panel a head, a row for each
token that attends, a column for each one attended to.
"""

from __future__ import annotations

import argparse
import html
import pathlib
from collections.abc import Sequence

import numpy as np

import attnserve

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / "river_bank"
CELL, LABEL, GAP, TITLE = 26, 56, 28, 26  # Pixels.
WHITE, BLUE = np.array([247, 251, 255]), np.array([8, 48, 107])


def attention_weights(client: attnserve.Client) -> np.ndarray:
    """[heads, tokens, tokens], each row adding up to 1."""
    query, key, value = (np.load(EXAMPLE / f"{name}.npy") for name in ("query", "key", "value"))
    weights: np.ndarray = client.attend(query, key, value, weights="probabilities").weights
    return weights[0]


def colour(weight: float) -> str:
    """From white to blue; the square root shows small weights, too."""
    red, green, blue = (WHITE + (BLUE - WHITE) * weight**0.5).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def panel(weights: np.ndarray, tokens: Sequence[str], title: str, left: int) -> list[str]:
    """SVG elements of one head, `left` pixels from the left."""
    top = TITLE + LABEL
    out = [f'<text x="{left + LABEL}" y="18" class="title">{title}</text>']
    for i, token in enumerate(map(html.escape, tokens)):
        middle = i * CELL + CELL // 2
        out.append(f'<text x="{left + LABEL - 6}" y="{top + middle + 4}" text-anchor="end">{token}</text>')
        x, y = left + LABEL + middle + 4, top - 6
        out.append(f'<text x="{x}" y="{y}" transform="rotate(-60 {x} {y})">{token}</text>')
        for j, weight in enumerate(weights[i]):
            place = f'x="{left + LABEL + j * CELL}" y="{top + i * CELL}"'
            out.append(f'<rect {place} width="{CELL - 1}" height="{CELL - 1}" fill="{colour(weight)}">'
                       f"<title>{token} attends to {html.escape(tokens[j])}: {100 * weight:.1f} %</title></rect>")
    return out


def picture(weights: np.ndarray, tokens: Sequence[str], heads: Sequence[int]) -> str:
    """The whole SVG."""
    width = LABEL + len(tokens) * CELL + GAP
    height = TITLE + LABEL + len(tokens) * CELL + 12
    total = width * len(heads)
    style = "text{font:12px sans-serif;fill:#222}.title{font-weight:bold;font-size:14px}"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" '
           f'viewBox="0 0 {total} {height}"><style>{style}</style><rect width="100%" height="100%" fill="#fff"/>']
    for n, head in enumerate(heads):
        out += panel(weights[head], tokens, f"head {head}", n * width)
    return "\n".join(out) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="127.0.0.1:8001")
    parser.add_argument("--heads", default="2,4,10", type=lambda text: [int(head) for head in text.split(",")])
    parser.add_argument("--out", default="river_bank.svg", type=pathlib.Path)
    arguments = parser.parse_args()
    tokens = (EXAMPLE / "tokens.txt").read_text(encoding="utf-8").split()
    with attnserve.Client(arguments.target) as client:
        weights = attention_weights(client)
    arguments.out.write_text(picture(weights, tokens, arguments.heads), encoding="utf-8")
    print(f"{arguments.out}: {len(arguments.heads)} of {len(weights)} heads")


if __name__ == "__main__":
    main()
