"""A page in the browser on which trained models answer queries: `tirg-bench serve`."""
