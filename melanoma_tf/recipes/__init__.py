"""Whole jobs as importable functions of (settings, folders): what the commands call."""
