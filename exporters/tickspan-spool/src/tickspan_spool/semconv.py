"""The one name that the sending side writes into records, the same as in the core's vocabulary."""

from typing import Final

LOG_RECORD_UID: Final = "log.record.uid"
