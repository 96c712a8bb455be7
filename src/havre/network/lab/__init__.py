"""The laboratory: the situation of a migration, built of real daemons in network namespaces."""
