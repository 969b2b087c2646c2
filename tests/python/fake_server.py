"""A gRPC server that answers what a test wants, call by call."""

from __future__ import annotations

from collections import Counter
from concurrent import futures
from typing import Any

import grpc


class FakeServer:
    """Answers each call of a method with the next of its scripted answers, and
    then with the last one for ever; a context manager. An answer is bytes, or
    (code, message, trailing metadata)."""

    def __init__(self, script: dict[str, list[Any]], credentials: grpc.ServerCredentials | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.metadata: list[dict[str, str]] = []
        self._script = script
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((_Handler(self._answer),))
        address = "localhost:0"
        port = (self._server.add_insecure_port(address) if credentials is None
                else self._server.add_secure_port(address, credentials))
        self.address = f"localhost:{port}"

    def __enter__(self) -> FakeServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def _answer(self, method: str, context: grpc.ServicerContext) -> bytes:
        name = method.rpartition("/")[2]
        answers = self._script[name]
        answer = answers[min(self.calls[name], len(answers) - 1)]
        self.calls[name] += 1
        self.metadata.append(dict(context.invocation_metadata()))
        if isinstance(answer, bytes):
            return answer
        code, message, trailers = answer
        context.set_trailing_metadata(trailers)
        context.abort(code, message)
        raise AssertionError  # abort has raised.


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self._answer(details.method, context))
