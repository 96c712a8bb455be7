"""What every room stands on: store, events, operations, reconcile, units, config, clock, context."""
