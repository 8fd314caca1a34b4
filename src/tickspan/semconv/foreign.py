"""Names under which instrumentation of others writes addresses, statements or secrets, current and old."""

from typing import Final

from tickspan.semconv.db import DB_QUERY_TEXT

URL_FULL: Final = "url.full"
HTTP_URL: Final = "http.url"

URLS: Final = (URL_FULL, HTTP_URL, "url.original", "url.path", "http.target", "http.request.url")
URL_QUERIES: Final = ("url.query",)
URL_PRIVATE_PARTS: Final = ("url.fragment", "url.userinfo")
DB_STATEMENT_OLD: Final = "db.statement"
STATEMENTS: Final = (DB_STATEMENT_OLD, DB_QUERY_TEXT)
NEVER: Final = (
    "db.connection_string",
    "http.request.body",
    "http.response.body",
    "messaging.message.body",
    "process.command_args",
    "process.command_line",
    "rpc.message.body",
    "websocket.message.body",
)
NEVER_BEGINNINGS: Final = ("process.environment_variable.", "db.query.parameter.", "db.operation.parameter.")
HEADER_PATTERN: Final = (
    r"(?:http|rpc|messaging|websocket)(?:\.grpc|\.connect_rpc)?"
    r"\.(?:request|response|message)\.(?:header|headers|metadata)\.(.+)"
)

NET_PEER_NAME: Final = "net.peer.name"
HTTP_HOST: Final = "http.host"
DB_SYSTEM_OLD: Final = "db.system"
DB_NAME_OLD: Final = "db.name"
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_METHOD_OLD: Final = "http.method"
