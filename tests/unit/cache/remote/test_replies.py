"""What errors mean."""

from __future__ import annotations

import pytest
import redis.exceptions as errors

from tickspan.cache.remote.replies import MuxOverloadedError, again, counts_as_outage, reason_of, reply_error


@pytest.mark.parametrize(
    ("text", "kind", "reason", "is_outage"),
    [
        ("WRONGTYPE Operation against a key", errors.ResponseError, "error", False),
        ("ERR syntax error", errors.ResponseError, "error", False),
        ("OOM command not allowed", errors.OutOfMemoryError, "out_of_memory", False),
        ("NOPERM this user has no permissions", errors.NoPermissionError, "no_permission", False),
        ("NOSCRIPT No matching script", errors.NoScriptError, "error", False),
        ("READONLY You can't write against", errors.ReadOnlyError, "read_only", True),
        ("LOADING Redis is loading", errors.BusyLoadingError, "loading", True),
        ("NOAUTH Authentication required.", errors.AuthenticationError, "authentication", True),
        ("WRONGPASS invalid", errors.AuthenticationError, "authentication", True),
        ("MASTERDOWN Link with MASTER is down", errors.MasterDownError, "cluster_down", True),
        ("CLUSTERDOWN Hash slot not served", errors.ClusterDownError, "cluster_down", True),
        ("MOVED 12182 127.0.0.1:7002", errors.MovedError, "error", False),
        ("ERR max number of clients reached", errors.ConnectionError, "connection", True),
    ],
)
def test_an_error_of_the_server_has_a_class_a_reason_and_a_weight(
    text: str, kind: type[Exception], reason: str, is_outage: bool
):
    error = reply_error(text)
    assert (type(error), reason_of(error), counts_as_outage(error)) == (kind, reason, is_outage)


@pytest.mark.parametrize(
    ("error", "reason", "is_outage"),
    [
        (errors.TimeoutError("x"), "timeout", True),
        (TimeoutError(), "timeout", True),
        (ConnectionRefusedError(), "connection", True),
        (LookupError("of a credential provider"), "error", True),
        (errors.DataError("no command"), "error", False),
        (errors.ConnectionError("x"), "connection", True),
        (MuxOverloadedError("x"), "overloaded", False),
    ],
)
def test_an_error_of_the_connection_has_a_reason_and_a_weight(
    error: BaseException, reason: str, is_outage: bool
):
    assert (reason_of(error), counts_as_outage(error)) == (reason, is_outage)


@pytest.mark.parametrize(
    "error",
    [errors.ConnectionError("gone"), reply_error("MOVED 12182 127.0.0.1:7002"), reply_error("LOADING wait")],
)
def test_an_error_can_be_told_to_several_callers(error: errors.RedisError):
    other = again(error)
    assert other is not error
    assert (type(other), other.args, str(other)) == (type(error), error.args, str(error))


def test_an_error_of_the_system_becomes_one_of_redis_pys_and_keeps_its_cause():
    refused = ConnectionRefusedError(111, "refused")
    told = again(refused)
    assert (type(told), told.__cause__) == (errors.ConnectionError, refused)
    assert type(again(TimeoutError())) is errors.TimeoutError
