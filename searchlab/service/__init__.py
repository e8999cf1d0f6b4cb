"""The service: a sweep carried out from its file to its winner, here or on a cluster, whatever is killed on the way."""
