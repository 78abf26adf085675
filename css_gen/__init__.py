"""The CSS (Color-Shape-Size) dataset for composed image retrieval, rendered procedurally."""
