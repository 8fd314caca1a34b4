"""The FIX 4.4 dialect of the simulated venue: an acceptor with order entry and market data.

The CompID of the venue is VENUE; clients choose theirs, and each has a session that outlives its connections.
A logon with Username (553) and Password (554) has to name the account's key and secret.

What the faults of `Behaviour` and `Fault` are here, where they are not what their own text says:

| fault | on this wire |
|---|---|
| `rate_limit_429`, order and weight limits | BusinessMessageReject (j), "Throttle limit exceeded" |
| `ban_418` | Logout that says so, and the end of the connection |
| `reject` | ExecutionReport, ExecType 8; for a replacement OrderCancelReject, and the old order is canceled |
| `accept_then_504` | the order lives; its acknowledgement is never sent |
| `accept_then_reset` | the connection breaks before the acknowledgement, which a resend request brings |
| `fill_before_ack` | ExecutionReport New comes after those of the fills, with CumQty 0 |
| `duplicate_event` | the same report again under a new number, PossResend (97) set |
| `sequence_gap` | MsgSeqNum jumps; a resend request gets a gap fill |
| `mute` | no reports and no market data; heartbeats go on |
| `disconnect` | every connection breaks without a Logout |
| `server_assigned_ids` | ClOrdID is echoed, as FIX demands, but may be used again |
"""

from tickspan.testing.venue.fix.service import FixService
from tickspan.testing.venue.fix.session import VENUE

__all__ = ["VENUE", "FixService"]
