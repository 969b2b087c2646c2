"""The embedding of sentences, with every attention layer computed by a server.

  attnserve --layers MODEL &
  sentence_embedding.py MODEL [--target HOST:PORT] [SENTENCE...]

MODEL is a folder with model.safetensors, config.json and tokenizer.json of a sentence
encoder of the BERT family, such as all-MiniLM-L6-v2. The server has the projections of
its attention layers; embeddings, norms, feed-forward and pooling are computed here. The
same is done without the server, and compared. The sentences travel as one batch,
padded, with their lengths.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

import numpy as np

import attnserve
from bert_encoder import BertEncoder

SENTENCES = ("He sat by the bank of the river", "They rested on the shore of the stream",
             "The central bank raised its interest rate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    parser.add_argument("--target", default="127.0.0.1:8001")
    arguments = parser.parse_args()
    encoder = BertEncoder(arguments.model)
    sentences = encoder.tokenize(arguments.sentences)
    with attnserve.Client(arguments.target) as client:
        layers = [f"{arguments.model.resolve().name}/{index}" for index in range(encoder.num_layers)]

        def served(layer: int, hidden: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
            return client.forward(layers[layer], hidden, kv_lengths=lengths).output

        ours = encoder.embed(sentences, served)
    here = encoder.embed(sentences, encoder.attention)
    print(f"{len(layers)} layers by the server, {len(sentences.lengths)} sentences of {sentences.lengths} tokens")
    for text, one, other in zip(arguments.sentences, ours, here):
        print(f"cosine {one @ other:.7f}, largest difference {np.abs(one - other).max():.1e}: {text}")
    print("similarity of the first to the others:", *(f"{ours[0] @ other:.3f}" for other in ours[1:]))


if __name__ == "__main__":
    main()
