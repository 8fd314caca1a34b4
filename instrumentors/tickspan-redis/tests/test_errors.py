"""Codes of errors, and no text."""

from __future__ import annotations

import pytest
import redis.exceptions as errors
from tickspan.instrumentation import Failure
from tickspan_redis.errors import describe_error


def failed(code: str) -> Failure:
    return Failure(code, {"db.response.status_code": code}, description=code)


def unanswered(name: str, *, is_told: bool = False) -> Failure:
    return Failure(name, description=None if is_told else name)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (errors.ResponseError("WRONGTYPE Operation against a key"), failed("WRONGTYPE")),
        (errors.ResponseError("unknown command 'S3CRET', with args beginning with: 's3cret'"), failed("ERR")),
        (
            errors.ResponseError("Command # 1 (SET WRONGKEY s3cret) of pipeline caused error: OOM x"),
            failed("OOM"),
        ),
        (
            errors.ResponseError("Command # 1 (SET k s3cret) of pipeline caused error: ('OOM x',)"),
            failed("OOM"),
        ),
        (
            errors.ResponseError("Command # 1 (SET k s3cret) of pipeline caused error: {exception.args}"),
            unanswered("redis.exceptions.ResponseError"),
        ),
        (errors.ResponseError("S3cret"), failed("ERR")),
        (errors.NoScriptError("No matching script."), failed("NOSCRIPT")),
        (errors.ReadOnlyError("You can't write"), failed("READONLY")),
        (errors.AuthenticationError("Authentication required."), failed("NOAUTH")),
        (errors.AuthenticationError("invalid username-password pair"), failed("WRONGPASS")),
        (errors.MovedError("3999 127.0.0.1:6381"), failed("MOVED")),
        (
            errors.ConnectionError("Connection refused."),
            unanswered("redis.exceptions.ConnectionError", is_told=True),
        ),
        (errors.TimeoutError("Timeout reading"), unanswered("redis.exceptions.TimeoutError", is_told=True)),
        (errors.DataError("Invalid input s3cret"), unanswered("redis.exceptions.DataError")),
        (
            errors.RedisClusterException("No targets for s3cret"),
            unanswered("redis.exceptions.RedisClusterException"),
        ),
        (ValueError("s3cret"), unanswered("ValueError")),
        (BrokenPipeError("gone"), unanswered("BrokenPipeError", is_told=True)),
    ],
)
def test_an_error_is_told_by_its_code_or_its_class(error: BaseException, failure: Failure):
    assert describe_error(error) == failure


def test_a_changed_watch_is_an_answer_and_no_error():
    failure = describe_error(errors.WatchError("Watched variable changed."))
    assert failure == Failure("redis.exceptions.WatchError", is_error=False)


def test_a_watch_that_lost_its_connection_is_an_error():
    error = errors.WatchError("A ConnectionError occurred while watching one or more keys")
    error.__context__ = errors.ConnectionError("gone")
    assert describe_error(error) == unanswered("redis.exceptions.WatchError")
