"""The driver of RTR (RFC 8210), by which a cache of RPKI tells routers what it has validated."""

from havre.drivers.rtr.client import Cache, Client, State
from havre.drivers.rtr.session import NoDataError, OlderVersionError, Session, Table

__all__ = ["Cache", "Client", "NoDataError", "OlderVersionError", "Session", "State", "Table"]
