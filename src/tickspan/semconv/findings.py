"""Names of findings about a database's queries, and of what was not looked at.

A finding is a log record of the event `EVENT`, under the resource of the application and with the ids of the
span that shows it best.
"""

from typing import Final

EVENT: Final = "tickspan.db.finding"

FINDING_ADVICE: Final = "tickspan.finding.advice"
"""The next step."""
FINDING_CONFIDENCE: Final = "tickspan.finding.confidence"
"""What it rests on: syntactic, plan, what-if or measured."""
FINDING_COUNT: Final = "tickspan.finding.count"
"""How often it was seen so far."""
FINDING_DOC: Final = "tickspan.finding.doc"
"""Where the reference tells of the rule."""
FINDING_EVIDENCE: Final = "tickspan.finding.evidence"
"""What was counted or seen, as JSON."""
FINDING_FIRST_SEEN: Final = "tickspan.finding.first_seen"
"""Seconds since 1970."""
FINDING_ID: Final = "tickspan.finding.id"
"""12 hex digits: the same finding keeps them."""
FINDING_ORDER_PATH: Final = "tickspan.finding.order_path"
"""Whether an order was placed in the same trace."""
FINDING_RULE: Final = "tickspan.finding.rule"
FINDING_SEVERITY: Final = "tickspan.finding.severity"
"""info, warning, error or critical."""
FINDING_TIME_LOST: Final = "tickspan.finding.time_lost"
"""Seconds, estimated, of all times it was seen."""

QUERIES_SKIPPED: Final = "tickspan.queries.skipped"
"""What was not analysed, by reason."""
SKIPPED_REASON: Final = "reason"
