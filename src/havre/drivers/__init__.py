"""One package for each outside program: how it is driven, and nothing of ours beyond that."""
