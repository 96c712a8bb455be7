"""Drains: an app's log lines, sent on to where its owner keeps them. See README.md.

One `Sender` for each kind of recipient; `SENDERS` is all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from havre.observe.drains import elastic, raw_http, syslog, vendors
from havre.observe.drains.model import Drain, DrainState, Execution, Recipient, Sender

SENDERS: Mapping[str, Sender] = {
    "RAW_HTTP": raw_http.RawHttp(),
    "SYSLOG_TCP": syslog.SyslogTcp(),
    "SYSLOG_UDP": syslog.SyslogUdp(),
    "OVH_TCP": syslog.OvhTcp(),
    "ELASTICSEARCH": elastic.Elasticsearch(),
    "DATADOG": vendors.Datadog(),
    "NEWRELIC": vendors.NewRelic(),
    "BETTERSTACK": vendors.BetterStack(),
}

__all__ = ["SENDERS", "Drain", "DrainState", "Execution", "Recipient", "Sender"]
