"""Readers that several data sets share: label tables, image folders, challenge layouts."""
