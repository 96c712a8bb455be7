"""The room of the network: prefixes, origins and upstreams; registries and RPKI as evidence."""
