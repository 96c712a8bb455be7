"""The public HTTP contract as structs: exact field names, what may be null and what never is. No logic.

Source: the public API descriptions and what the `clever` CLI 4.11 reads.
"""
