"""ONNX Runtime's CPU kernels, and ONNX's own reference evaluator in NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from case import UNIT_ROUNDOFF, Case
from peers import onnx_model
from peers.peer import PeerAnswer, refuse
from wire import from_layout


def _answer(case: Case, outputs: list[np.ndarray]) -> PeerAnswer:
    """Of the model's outputs: the first, and the last where weights are asked for."""
    output = from_layout(outputs[0], "bse" if case.layout == "bse" else "bhsd", case.shape[1])
    weights = outputs[-1] if case.weights != "none" else None
    # The attribute scale, and its square root, are f32 in an f64 model, too.
    unit = max(UNIT_ROUNDOFF[case.dtype], UNIT_ROUNDOFF["f32"])
    return PeerAnswer(output, unit, case.dtype, weights)


class OnnxRuntimePeer:
    """Attention (opset 24) and RotaryEmbedding of the CPU execution provider."""

    name = "onnxruntime"
    version = onnxruntime.__version__

    def __init__(self) -> None:
        onnxruntime.set_default_logger_severity(4)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = 1

    def compute(self, case: Case) -> PeerAnswer:
        _, _, _, q_len, kv_len, _, _ = case.shape
        mask = case.mask
        refuse((case.dtype == "bf16", "ORT has no bf16 Attention on CPU"),
               (onnx_model.uses_windows(case), "ORT does not know opset 25's windows"),
               (q_len == 0 or kv_len == 0, "ORT refuses lengths of 0"),
               (case.scale == 0, "ORT refuses scale 0"),
               (mask is not None and mask.ndim == 1, "ORT refuses masks of rank 1"))
        if mask is not None:
            refuse((mask.shape[-1] not in (1, kv_len), "ORT refuses short masks"),
                   (mask.shape[-2:] != (q_len, kv_len), "ORT broadcasts no row and no key of a mask"))
        model, feeds = onnx_model.build(case)
        refuse((case.dtype == "f64" and case.rope is not None, "ORT has no f64 RotaryEmbedding"),
               (case.dtype == "f64" and "nonpad" in feeds,
                "ORT's f64 is ONNX 1.22's function: top-left with nonpad_kv_seqlen"),
               (case.dtype == "f64" and "mask" in feeds,
                "ORT's f64 is ONNX 1.22's function: NaN for masked rows, no is_causal with a float mask"),
               (case.causal != "none" and "past_key" in feeds and q_len == 1,
                "ORT lets a single row after past_key see every key, causal or not"),
               ("past_key" in feeds and case.offsets()[0] == kv_len, "ORT refuses to have no key but past_key"))
        session = onnxruntime.InferenceSession(model.SerializeToString(), self._options,
                                               providers=["CPUExecutionProvider"])
        answer = _answer(case, session.run(None, feeds))
        if case.weights == "biased" and answer.weights is not None:
            # Hidden keys are the lowest finite number there, in f16 with the
            # score added to it now and then; -inf here.
            if mask is None or mask.dtype == np.bool_:
                answer.weights[answer.weights <= 0.9 * np.finfo(answer.weights.dtype).min] = -np.inf
            else:
                answer.weights = None  # A mask may hold that number, too.
        return answer


class OnnxReferencePeer:
    """What defines ONNX's operators, op by op in the query's dtype."""

    name = "onnx reference"
    version = onnx.__version__

    def compute(self, case: Case) -> PeerAnswer:
        _, _, _, q_len, kv_len, _, _ = case.shape
        structured = case.causal != "none" or onnx_model.uses_windows(case)
        refuse((q_len == 0 or kv_len == 0, "the reference fails at lengths of 0"),
               (case.dtype in ("f16", "bf16") and kv_len > 64,
                "the reference adds up in 16 bits: sums over more than 64 keys drift"),
               (case.weights == "raw_scores" and case.softcap > 0,
                "the reference returns soft-capped scores as raw ones (ORT and the schema do not)"),
               (case.mask is not None and case.mask.shape[-1] == 1 < kv_len,
                "a mask's last axis of 1 is short in the reference, broadcast here"),
               (structured and case.mask is not None and (case.mask.ndim == 1 or case.mask.shape[-2] == 1),
                "the reference reuses row 0's structure for a mask of one row"))
        model, feeds = onnx_model.build(case)
        with np.errstate(all="ignore"):
            return _answer(case, ReferenceEvaluator(model).run(None, feeds))
