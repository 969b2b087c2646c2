#!/usr/bin/env python3
"""What one would stand up otherwise: a plain Python gRPC server that speaks the Open
Inference Protocol and computes its model `attention` by torch's
scaled_dot_product_attention.

  python_server.py PORT     serves on 127.0.0.1 until it is killed
"""

from __future__ import annotations

import os
import pathlib
import sys
from concurrent import futures

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "interop/peers"))
# Before anything of torch's. One thread a call, as calls share the CPUs.
from torch_loader import torch  # noqa: E402

import grpc  # noqa: E402
import numpy as np  # noqa: E402
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc  # noqa: E402

LARGEST_MESSAGE = 256 << 20
INPUTS = ("Q", "K", "V")


class AttentionServicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The methods that perf_analyzer calls."""

    def ServerMetadata(self, request, context):
        return service_pb2.ServerMetadataResponse(name="python", version="1")

    def ModelMetadata(self, request, context):
        def tensor(name):
            return service_pb2.ModelMetadataResponse.TensorMetadata(name=name, datatype="FP32", shape=[-1] * 4)

        return service_pb2.ModelMetadataResponse(
            name=request.name, versions=["1"], inputs=map(tensor, INPUTS), outputs=[tensor("Y")])

    def ModelConfig(self, request, context):
        kind, dims = model_config_pb2.TYPE_FP32, [-1] * 3
        inputs = [model_config_pb2.ModelInput(name=name, data_type=kind, dims=dims) for name in INPUTS]
        outputs = [model_config_pb2.ModelOutput(name="Y", data_type=kind, dims=dims)]
        return service_pb2.ModelConfigResponse(config=model_config_pb2.ModelConfig(
            name=request.name, max_batch_size=1, input=inputs, output=outputs))

    def ModelInfer(self, request, context):
        given = {tensor.name: torch.from_numpy(np.frombuffer(raw, np.float32).reshape(tuple(tensor.shape)))
                 for tensor, raw in zip(request.inputs, request.raw_input_contents)}
        query, key, value = (given[name] for name in INPUTS)
        with torch.inference_mode():
            output = torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
        described = service_pb2.ModelInferResponse.InferOutputTensor(name="Y", datatype="FP32", shape=output.shape)
        return service_pb2.ModelInferResponse(
            model_name=request.model_name, id=request.id, outputs=[described],
            raw_output_contents=[output.contiguous().numpy().tobytes()])


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    options = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.max_send_message_length", LARGEST_MESSAGE)]
    # More threads than CPUs only take turns at Python's lock.
    server = grpc.server(futures.ThreadPoolExecutor(os.cpu_count()), options=options)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(AttentionServicer(), server)
    if server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}") == 0:
        print(f"port {sys.argv[1]} is taken", file=sys.stderr)
        return 1
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
