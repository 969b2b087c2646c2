"""tritonclient on the model of a layer: hidden states in, sequences as of attention_kv."""

from __future__ import annotations

import pathlib
import queue
import sys
import tempfile

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from fixture import ServerTest, infer_input

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
from checkpoint import HIDDEN, TinyBert  # noqa: E402

MODEL = "layer:tiny/0"
ROWS = 12


class LayerTest(ServerTest):
    @classmethod
    def setUpClass(cls) -> None:
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.layer = TinyBert()
        cls.layer.write(folder / "tiny")
        cls.flags = ("--layers", str(folder))
        super().setUpClass()

    def setUp(self) -> None:
        self.client = self.enterContext(triton.InferenceServerClient(self.address))
        self.hidden = np.random.default_rng(3).standard_normal((1, ROWS, HIDDEN), np.float32)

    def step(self, row: int) -> list[triton.InferInput]:
        """Token `row` alone."""
        return [infer_input("hidden", self.hidden[:, row:row + 1])]

    def assert_is_step(self, answer: triton.InferResult, row: int) -> None:
        """The row sees the tokens up to itself, as nothing else is there."""
        expected = self.layer.forward(self.hidden[:, row:row + 1], self.hidden[:, :row + 1])
        self.assert_close(answer.as_numpy("output"), expected, 1e-4)
        self.assertEqual(answer.get_response().parameters["session_length"].int64_param, row + 1)

    def test_layer_is_listed_and_described(self) -> None:
        self.assertIn(MODEL, [model.name for model in self.client.get_model_repository_index().models])
        self.assertTrue(self.client.is_model_ready(MODEL, "1"))
        inputs = [tensor.name for tensor in self.client.get_model_metadata(MODEL).inputs]
        self.assertEqual(inputs, ["hidden", "context", "attn_mask", "kv_lengths"])
        self.assertTrue(self.client.get_model_config(MODEL).config.HasField("dynamic_batching"))

    def test_sequence_zero_is_none(self) -> None:
        answer = self.client.infer(MODEL, [infer_input("hidden", self.hidden)], sequence_id=0, sequence_start=True)
        self.assert_close(answer.as_numpy("output"), self.layer.forward(self.hidden), 1e-4)
        self.assertNotIn("session_length", answer.get_response().parameters)

    def test_sequence_keeps_what_it_has_seen(self) -> None:
        for sequence_id in (41, "a-name"):
            for row in range(ROWS):
                answer = self.client.infer(MODEL, self.step(row), sequence_id=sequence_id, sequence_start=row == 0,
                                           sequence_end=row == ROWS - 1, parameters={"expected_length": row})
                self.assert_is_step(answer, row)
            with self.assertRaises(InferenceServerException) as caught:
                self.client.infer(MODEL, self.step(0), sequence_id=sequence_id)
            self.assertEqual(caught.exception.status(), "StatusCode.NOT_FOUND")

    def test_sequences_in_a_stream_answer_in_order(self) -> None:
        done: queue.Queue = queue.Queue()
        self.client.start_stream(callback=lambda result, error: done.put((result, error)))
        for row in range(ROWS):
            for sequence_id in (1, 2):
                self.client.async_stream_infer(MODEL, self.step(row), request_id=f"{sequence_id} {row}",
                                               sequence_id=sequence_id, sequence_start=row == 0,
                                               sequence_end=row == ROWS - 1)
        for row in range(ROWS):
            for sequence_id in (1, 2):
                result, error = done.get(timeout=30)
                self.assertIsNone(error)
                self.assertEqual(result.get_response().id, f"{sequence_id} {row}")
                self.assert_is_step(result, row)
        self.client.stop_stream()
