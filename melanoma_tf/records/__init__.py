"""Sharded TFRecords: building, reading, verifying."""
