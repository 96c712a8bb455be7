"""Servers of the laboratory, each a program of its own: a routing registry and a cache of RPKI."""
