"""What a run is made with: the recipe, its presets and its hash; the identity of a run; and its runtime."""
