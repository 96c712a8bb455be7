"""Registries: what routing registries and RPKI say about our prefixes and our neighbours', and what to file there."""
