"""Statistics of ratings and measurements, as functions of arrays; see the modules."""
