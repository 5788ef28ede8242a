"""Errors, atomic files, output folders and settings: what every room builds on."""
