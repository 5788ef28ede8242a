"""Raw data sets -> a record folder: plan, duplicates, workers, journal."""
