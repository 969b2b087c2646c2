"""tritonclient as its users use it: sync, callbacks, asyncio, streams, sequences."""

from __future__ import annotations

import asyncio
import queue
import unittest

import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from fixture import ServerTest, Tensors, infer_input

MANY = 50


class SyncTest(ServerTest):
    def setUp(self) -> None:
        self.client = self.enterContext(triton.InferenceServerClient(self.address))

    def test_server_and_models_are_ready_and_described(self) -> None:
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("attention", "1"))
        self.assertFalse(self.client.is_model_ready("resnet50"))
        self.assertIn("statistics", self.client.get_server_metadata().extensions)
        metadata = self.client.get_model_metadata("attention")
        self.assertEqual([tensor.name for tensor in metadata.inputs], ["Q", "K", "V", "attn_mask", "kv_lengths"])
        self.assertTrue(self.client.get_model_config("attention").config.HasField("dynamic_batching"))
        self.assertTrue(self.client.get_model_config("attention_kv").config.HasField("sequence_batching"))
        names = [model.name for model in self.client.get_model_repository_index().models]
        self.assertEqual(names, ["attention", "attention_kv"])
        self.client.unregister_system_shared_memory()
        self.client.unregister_cuda_shared_memory()

    def test_answers_in_every_datatype_of_numpy(self) -> None:
        for dtype, tolerance in ((np.float32, 1e-5), (np.float16, 5e-3), (np.float64, 1e-12)):
            with self.subTest(dtype=dtype):
                tensors = Tensors(seed=1, batch=2, dtype=dtype)
                answer = self.client.infer("attention", tensors.inputs(), request_id="id-7")
                self.assertEqual(answer.get_response().id, "id-7")
                self.assertEqual(answer.as_numpy("Y").dtype, dtype)
                self.assert_close(answer.as_numpy("Y"), tensors.expected(), tolerance)
                self.assertEqual(answer.as_numpy("LSE").shape, (2, 4, 3))

    def test_parameters_mask_and_lengths(self) -> None:
        tensors = Tensors(seed=2, q_len=5)
        causal = self.client.infer("attention", tensors.inputs(), parameters={"causal": "top_left"}, priority=1,
                                   timeout=10_000_000)
        self.assert_close(causal.as_numpy("Y"), tensors.expected_causal())
        allowed = np.random.default_rng(3).random((1, 4, 5, 5)) < 0.7
        allowed[..., 0] = True
        masked = self.client.infer("attention", [*tensors.inputs(), infer_input("attn_mask", allowed)])
        self.assert_close(masked.as_numpy("Y"), tensors.expected(allowed))
        lengths = infer_input("kv_lengths", np.array([[3]], np.int64))
        cut = self.client.infer("attention", [*tensors.inputs(), lengths])
        self.assert_close(cut.as_numpy("Y"), tensors.expected(np.arange(5) < 3))

    def test_a_sink_for_each_head_takes_its_share(self) -> None:
        tensors = Tensors(seed=6)
        tensors.query[:] = 0  # Each of 5 keys weighs 1, the sinks 1, 5, 15 and 45.
        sinks = ", ".join(str(number) for number in np.log([1, 5, 15, 45]))
        answer = self.client.infer("attention", tensors.inputs(), parameters={"sinks": sinks})
        shares = np.array([5 / 6, 1 / 2, 1 / 4, 1 / 10]).reshape(1, 4, 1, 1)
        self.assert_close(answer.as_numpy("Y"), tensors.expected() * shares)

    def test_requested_outputs_come_in_their_order(self) -> None:
        outputs = [triton.InferRequestedOutput(name) for name in ("weights", "Y")]
        answer = self.client.infer("attention", Tensors(seed=4).inputs(), outputs=outputs)
        self.assertEqual([output.name for output in answer.get_response().outputs], ["weights", "Y"])
        self.assert_close(answer.as_numpy("weights").sum(axis=-1), np.ones((1, 4, 3)))

    def test_errors_have_their_status_and_name_what_is_wrong(self) -> None:
        with self.assertRaisesRegex(InferenceServerException, "parameters.speed must be") as caught:
            self.client.infer("attention", Tensors(seed=5).inputs(), parameters={"speed": 9})
        self.assertEqual(caught.exception.status(), "StatusCode.INVALID_ARGUMENT")
        with self.assertRaises(InferenceServerException) as caught:
            self.client.infer("resnet50", Tensors(seed=5).inputs())
        self.assertEqual(caught.exception.status(), "StatusCode.NOT_FOUND")
        with self.assertRaises(InferenceServerException) as caught:
            self.client.get_log_settings()
        self.assertEqual(caught.exception.status(), "StatusCode.UNIMPLEMENTED")

    def test_callbacks_match_by_id(self) -> None:
        done: queue.Queue = queue.Queue()
        cases = [Tensors(seed=seed) for seed in range(MANY)]
        for number, tensors in enumerate(cases):
            self.client.async_infer("attention", tensors.inputs(), request_id=str(number),
                                    callback=lambda result, error: done.put((result, error)))
        seen = set()
        for _ in cases:
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            number = int(result.get_response().id)
            seen.add(number)
            self.assert_close(result.as_numpy("Y"), cases[number].expected())
        self.assertEqual(len(seen), MANY)

    def test_sequence_equals_the_whole(self) -> None:
        tensors = Tensors(seed=6, q_len=9, kv_len=9)
        expected = tensors.expected_causal()
        for sequence_id in (41, "a-name"):
            for row in range(9):
                answer = self.client.infer("attention_kv", tensors.step(row), sequence_id=sequence_id,
                                           sequence_start=row == 0, sequence_end=row == 8)
                self.assert_close(answer.as_numpy("Y"), expected[:, :, row:row + 1])
                self.assertEqual(answer.get_response().parameters["session_length"].int64_param, row + 1)
            with self.assertRaises(InferenceServerException) as caught:
                self.client.infer("attention_kv", tensors.step(0), sequence_id=sequence_id)
            self.assertEqual(caught.exception.status(), "StatusCode.NOT_FOUND")

    def test_statistics_count_what_was_asked(self) -> None:
        def successes() -> int:
            stats = self.client.get_inference_statistics("attention").model_stats[0]
            return stats.inference_stats.success.count

        before = successes()
        for _ in range(7):
            self.client.infer("attention", Tensors(seed=7).inputs())
        self.assertEqual(successes() - before, 7)


class StreamTest(ServerTest):
    def test_sequences_in_a_stream_answer_in_order(self) -> None:
        tensors = Tensors(seed=8, q_len=12, kv_len=12)
        expected = tensors.expected_causal()
        done: queue.Queue = queue.Queue()
        with triton.InferenceServerClient(self.address) as client:
            client.start_stream(callback=lambda result, error: done.put((result, error)))
            for row in range(12):
                for sequence_id in (1, 2):
                    client.async_stream_infer("attention_kv", tensors.step(row), request_id=f"{sequence_id} {row}",
                                              sequence_id=sequence_id, sequence_start=row == 0,
                                              sequence_end=row == 11)
            for row in range(12):
                for sequence_id in (1, 2):
                    result, error = done.get(timeout=30)
                    self.assertIsNone(error)
                    self.assertEqual(result.get_response().id, f"{sequence_id} {row}")
                    self.assert_close(result.as_numpy("Y"), expected[:, :, row:row + 1])
            client.stop_stream()

    def test_errors_in_a_stream_leave_it_open(self) -> None:
        done: queue.Queue = queue.Queue()
        with triton.InferenceServerClient(self.address) as client:
            client.start_stream(callback=lambda result, error: done.put((result, error)))
            client.async_stream_infer("attention", Tensors(seed=9).inputs(), parameters={"speed": 1})
            client.async_stream_infer("attention", Tensors(seed=9).inputs())
            _, error = done.get(timeout=30)
            self.assertIn("parameters.speed must be", str(error))
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            self.assert_close(result.as_numpy("Y"), Tensors(seed=9).expected())
            client.stop_stream()

    def test_header_makes_the_first_error_the_status(self) -> None:
        done: queue.Queue = queue.Queue()
        with triton.InferenceServerClient(self.address) as client:
            client.start_stream(callback=lambda result, error: done.put((result, error)),
                                headers={"triton_grpc_error": "true"})
            client.async_stream_infer("attention", Tensors(seed=9).inputs(), parameters={"speed": 1})
            _, error = done.get(timeout=30)
            self.assertEqual(error.status(), "StatusCode.INVALID_ARGUMENT")


class AsyncioTest(ServerTest):
    def test_concurrent_calls_and_a_stream(self) -> None:
        asyncio.run(self.ask())

    async def ask(self) -> None:
        cases = [Tensors(seed=seed) for seed in range(MANY)]
        async with triton_aio.InferenceServerClient(self.address) as client:
            self.assertTrue(await client.is_server_ready())
            answers = await asyncio.gather(*(client.infer("attention", case.inputs()) for case in cases))
            for case, answer in zip(cases, answers):
                self.assert_close(answer.as_numpy("Y"), case.expected())

            async def requests():
                for case in cases:
                    yield {"model_name": "attention", "inputs": case.inputs()}

            count = 0
            async for result, error in client.stream_infer(requests()):
                self.assertIsNone(error)
                self.assert_close(result.as_numpy("Y"), cases[count].expected())
                count += 1
            self.assertEqual(count, MANY)


if __name__ == "__main__":
    unittest.main()
