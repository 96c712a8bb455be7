"""The driver of RTR (RFC 8210), by which a cache of RPKI tells routers what it has validated."""
