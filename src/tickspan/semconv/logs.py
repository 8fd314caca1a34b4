"""Log records' names: where in the code a record comes from, and what became of its message.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/code/.
"""

from typing import Final

CODE_FILE_PATH: Final = "code.file.path"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_LINE_NUMBER: Final = "code.line.number"

TICKSPAN_LOG_FORMAT_ERROR: Final = "tickspan.log.format_error"
"""The class of the error that formatting the message raised; the body is then the raw template."""
