"""One module for each group of addresses: HTTP in, the facade, JSON out."""
