"""The page of one unit: a few numbers that its monitor keeps in shared memory and anybody of ours may read.

To look at a unit costs its monitor nothing: three hundred idle apps are looked at without waking one of them. Used by
the monitor (standard library only) and by the engine.
"""

from __future__ import annotations

from struct import Struct

SIZE = 72
LAYOUT = Struct("<9Q")
FLAGS, IN_FLIGHT, ACCEPTED, ANSWERED, REFUSED, PEERS, LOST_BYTES, SLOWED, CONNECTIONS = (
    8 * number for number in range(9)
)
FIRST_SIZE = 64  # of a monitor from before connections were kept: what is in flight is what is open
LIVE, ACCEPTING, EXITED, BESET, OUT = 1, 2, 4, 8, 16  # of FLAGS; BESET: no connection more; OUT: none to the outside
