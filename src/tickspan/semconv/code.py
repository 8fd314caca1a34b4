"""Where in the source something was called, as OpenTelemetry spells it; log records say it too."""

from tickspan.semconv.logs import CODE_FILE_PATH, CODE_FUNCTION_NAME, CODE_LINE_NUMBER

__all__ = ["CODE_FILE_PATH", "CODE_FUNCTION_NAME", "CODE_LINE_NUMBER"]
