"""Ids, errors, names, quantities: pure values that every room shares."""
