#!/usr/bin/env python3
"""Facts of model.py."""

import unittest

import model
from model import Costs, Load, Shape

COSTS = Costs(bandwidth=20e9, call_seconds=200e-6)
SHAPE = Shape(layers=4, num_kv_heads=8, head_dim=128, element_bytes=2)
LENGTHS = model.lognormal_lengths(200, 4096, 1.0, 65536, seed=7)
LOAD = Load(SHAPE, LENGTHS)
HORIZON = 30.0


class ModelTest(unittest.TestCase):
    def test_one_replica_without_waits_is_the_closed_formula(self):
        prediction = model.simulate(COSTS, LOAD, 1, HORIZON)
        # Of each session one token, under way at the end, is not counted.
        self.assertAlmostEqual(prediction.tokens_per_second, model.closed_formula(COSTS, LOAD),
                               delta=len(LENGTHS) / HORIZON)
        self.assertAlmostEqual(prediction.utilisations[0], 1.0, places=9)

    def test_waits_are_hidden_by_as_many_sessions_as_fill_them(self):
        tokens = 1000
        service = model.service_seconds(COSTS, SHAPE, tokens)
        costs = Costs(COSTS.bandwidth, COSTS.call_seconds, wait_seconds=3 * service)
        for sessions in (1, 2, 3, 4, 8):
            found = model.simulate(costs, Load(SHAPE, [tokens] * sessions), 1, HORIZON)
            expected = min(sessions, 4) / (4 * service * SHAPE.layers)
            self.assertAlmostEqual(found.tokens_per_second / expected, 1.0, places=2)
            self.assertAlmostEqual(found.utilisations[0], min(sessions, 4) / 4, places=2)

    def test_paced_sessions_get_what_they_ask_for_where_there_is_room(self):
        # Half of what one replica can give.
        pace = 2 * len(LENGTHS) / model.closed_formula(COSTS, LOAD)
        found = model.simulate(COSTS, Load(SHAPE, LENGTHS, pace), 1, 20 * pace)
        self.assertAlmostEqual(found.tokens_per_second * pace / len(LENGTHS), 1.0, delta=0.06)
        self.assertAlmostEqual(found.utilisations[0], 0.5, delta=0.03)

    def test_every_session_has_one_replica(self):
        for replicas in (1, 2, 5, 16):
            placed = model.assign(LENGTHS, replicas)
            self.assertEqual(len(placed), replicas)
            self.assertEqual(sorted(sum(placed, [])), sorted(LENGTHS))

    def test_no_replica_is_busy_for_more_than_the_time(self):
        for replicas in (1, 2, 4, 8, 64):
            for wait in (0.0, 1e-3):
                costs = Costs(COSTS.bandwidth, COSTS.call_seconds, wait)
                found = model.simulate(costs, LOAD, replicas, 2.0)
                self.assertEqual(sum(found.sessions), len(LENGTHS))
                self.assertTrue(all(0 <= busy <= 1 + 1e-9 for busy in found.utilisations))

    def test_busy_time_is_that_of_the_tokens_and_of_those_under_way(self):
        sessions, tokens = 5, 3000
        token_seconds = SHAPE.layers * model.service_seconds(COSTS, SHAPE, tokens)
        found = model.run_replica(COSTS, Load(SHAPE, [tokens] * sessions), HORIZON)
        done_seconds = len(found.latencies) * token_seconds
        self.assertLessEqual(done_seconds, found.busy_seconds)
        self.assertGreaterEqual(done_seconds, found.busy_seconds - sessions * token_seconds)
        # Calls of a replica do not overlap: a token waits for those of the others.
        self.assertAlmostEqual(max(found.latencies), sessions * token_seconds)

    def test_same_seed_same_figures(self):
        again = model.lognormal_lengths(200, 4096, 1.0, 65536, seed=7)
        self.assertEqual(again, LENGTHS)
        self.assertNotEqual(model.lognormal_lengths(200, 4096, 1.0, 65536, seed=8), LENGTHS)
        self.assertEqual(model.simulate(COSTS, LOAD, 4, 2.0), model.simulate(COSTS, Load(SHAPE, again), 4, 2.0))

    def test_a_new_replica_takes_sessions_and_moves_no_other(self):
        names = [f"session-{number}" for number in range(2000)]
        moved = [name for name in names if model.replica_of(name, 4) != model.replica_of(name, 5)]
        self.assertTrue(all(model.replica_of(name, 5) == 4 for name in moved))
        self.assertAlmostEqual(len(moved) / len(names), 1 / 5, delta=0.03)

    def test_zipf_has_its_ranks(self):
        self.assertEqual(sorted(model.zipf_lengths(4, 1.0, 1200, seed=1)), [300, 400, 600, 1200])

    def test_a_replica_without_sessions_is_idle(self):
        found = model.simulate(COSTS, Load(SHAPE, [1000]), 8, 1.0)
        self.assertEqual(sorted(found.sessions), [0] * 7 + [1])
        self.assertEqual(found.utilisations.count(0.0), 7)
        self.assertAlmostEqual(found.imbalance, 8.0)


if __name__ == "__main__":
    unittest.main()
