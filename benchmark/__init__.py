"""Train composers, score them on composed image retrieval, and rank them: everything after the models."""
