"""Channels, waits and retries are configured as the C++ client does it."""

import json
import math

import pytest

from attnserve import Client, RetryPolicy, Tls
from attnserve._channel import ChannelOptions, bearer_metadata, seconds, service_config, session_metadata

PLAIN = {"target": "x:1", "tls": None, "retry": RetryPolicy(), "max_message_bytes": 1 << 20, "channel_options": ()}


def arguments(may_retry=True, **options):
    return dict(ChannelOptions(**{**PLAIN, **options}).arguments(may_retry))


def test_service_config_names_what_may_be_repeated():
    config = json.loads(service_config(RetryPolicy(max_attempts=3, initial_backoff=0.25)))["methodConfig"][0]
    assert {name["method"] for name in config["name"]} == {
        "Attend", "AttendBatch", "AppendKv", "TruncateSession", "GetSession", "ListSessions",
        "Forward", "ForwardBatch", "ListLayers", "GetLayer"}
    assert config["retryPolicy"] == {
        "maxAttempts": 3, "initialBackoff": "0.250000000s", "maxBackoff": "2.000000000s", "backoffMultiplier": 2.0,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}


def test_messages_and_retry_buffer_are_as_large_as_asked():
    found = arguments()
    for name in ("max_receive_message_length", "max_send_message_length", "per_rpc_retry_buffer_size"):
        assert found[f"grpc.{name}"] == 1 << 20


@pytest.mark.parametrize("options", [{"may_retry": False}, {"retry": RetryPolicy(max_attempts=1)}])
def test_calls_that_must_not_be_repeated_have_no_retries(options):
    found = arguments(**options)
    assert found["grpc.enable_retries"] == 0 and "grpc.service_config" not in found


def test_callers_own_arguments_come_last():
    options = ChannelOptions(**{**PLAIN, "channel_options": [("grpc.enable_retries", 0)]})
    assert options.arguments(True)[-1] == ("grpc.enable_retries", 0)


@pytest.mark.parametrize("policy", [
    {"max_attempts": 0}, {"max_attempts": 6}, {"initial_backoff": 0}, {"max_backoff": 0.01},
    {"max_backoff": math.inf}, {"multiplier": 0}, {"multiplier": math.nan}])
def test_policy_that_grpc_would_refuse_is_refused(policy):
    with pytest.raises(ValueError):
        RetryPolicy(**policy)


@pytest.mark.parametrize("options", [
    {"target": ""}, {"max_message_bytes": 0}, {"max_message_bytes": 1 << 31}, {"timeout": 0}, {"timeout": math.nan}])
def test_client_that_cannot_be_is_refused(options):
    with pytest.raises(ValueError):
        Client(**{"target": "x:1", **options})


def test_half_an_identity_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        Tls(private_key=b"key")


def test_timeout_falls_back_to_the_default():
    assert (seconds(None, 30.0), seconds(2, 30.0), seconds(math.inf, 30.0)) == (30.0, 2, None)
    with pytest.raises(ValueError, match="timeout must be positive"):
        seconds(0, 30.0)


@pytest.mark.parametrize("session_id", ["", "a" * 65, "a b", "a\n", "ä"])
def test_id_that_cannot_be_metadata_is_left_out(session_id):
    assert session_metadata(session_id) == []
    assert session_metadata("Chat_7-x") == [("attn-session-id", "Chat_7-x")]


def test_a_token_is_asked_for_at_every_call():
    tokens = iter(["first", "second", ""])
    assert [bearer_metadata(lambda: next(tokens)) for _ in range(3)] == [
        [("authorization", "Bearer first")], [("authorization", "Bearer second")], []]
    assert bearer_metadata("x") == [("authorization", "Bearer x")] and bearer_metadata("") == []
