"""Records -> batches: one file per kind of network, and the stream that they share."""
