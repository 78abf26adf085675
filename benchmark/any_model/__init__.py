"""Score any model by its rankings: hand out the queries of a task, read what a model answers, make its record."""
