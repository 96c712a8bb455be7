"""What runs for each unit: `python -I -S unit.py FOLDER`. Only a door: what is imported is compiled once and kept.

`FOLDER` is where the unit's files are; it stands in the command line so that a person sees whose process it is.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import monitor

monitor.main()
