"""What runs for each unit: `python -I -S unit.py FOLDER`. Only a door: what is imported is compiled once and kept.

`FOLDER` is where the files of all units are; it stands in the command line so that a person sees whose process it is.
It is started ahead of the unit that it will watch, so what a start needs is imported here before any orders come, and
it is nobody's child by then.
"""

import os
import sys

if os.fork():
    os._exit(0)
os.setsid()
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import monitor

monitor.main()
