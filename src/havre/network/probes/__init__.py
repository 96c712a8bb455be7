"""Packets as witnesses: streams that are counted in both directions and families, and probes bound to one neighbour."""
