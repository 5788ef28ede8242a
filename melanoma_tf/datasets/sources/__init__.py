"""One file per data set, each with its `Source`. `datasets.catalogue` lists them."""
