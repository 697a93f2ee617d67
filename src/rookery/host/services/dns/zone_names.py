"""A private zone: what it does not have does not exist, whatever the world says (RFC 1034, 4.3.2 and 4592)."""

from __future__ import annotations

import logging

import dns.exception
import dns.rdata
import dns.rdatatype

from rookery.host.services.dns.answer import Record
from rookery.host.services.dns.found import Found, nothing
from rookery.host.services.dns.wire_name import ancestors, wire_of
from rookery.intent.host import ZoneIntent
from rookery.model.objects import DnsRecord

log = logging.getLogger(__name__)

ANY_NAME = b"\x01*"


class Zone:
    """The records of one, by name."""

    def __init__(self, intent: ZoneIntent) -> None:
        self.name = intent.name
        self._origin = wire_of(intent.name)
        self._records: dict[bytes, tuple[Record, ...]] = {self._origin: ()}
        for row in intent.records:
            try:
                self._take(row)
            except dns.exception.DNSException as error:  # the others of the zone are still good
                log.warning("zone %s: %s %s is left out: %s", intent.name, row.kind, row.name, error)

    def find(self, name: bytes) -> Found:
        """`name` lies in the zone; on the wire, lower case."""
        if (records := self._records.get(name)) is None:
            records = self._wild(name)
        if records is None:
            return nothing(self.name)
        alias = next((record.rdata for record in records if record.rtype == dns.rdatatype.CNAME), b"")
        return Found(self.name, True, records, alias.lower())

    def _take(self, row: DnsRecord) -> None:
        """Raises dns.exception.DNSException: a value is none of its kind."""
        owner = wire_of(row.name)
        records = _records(owner, row)
        for above in ancestors(owner)[1:]:  # they exist, though they have nothing (RFC 8020)
            self._records.setdefault(above, ())
        self._records[owner] = self._records.get(owner, ()) + records

    def _wild(self, name: bytes) -> tuple[Record, ...] | None:
        """Of the wildcard right below the closest name that exists."""
        for above in ancestors(name)[1:]:
            if above in self._records:
                found = self._records.get(ANY_NAME + above)
                return found and tuple(record._replace(owner=name) for record in found)
        return None


def _records(owner: bytes, row: DnsRecord) -> tuple[Record, ...]:
    kind = dns.rdatatype.from_text(row.kind)
    values = (dns.rdata.from_text("IN", kind, value) for value in row.values)
    return tuple(Record(owner, kind, row.ttl, value.to_wire() or b"") for value in values)
