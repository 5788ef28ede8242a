"""`Lesion` rows <-> sharded TFRecords."""
