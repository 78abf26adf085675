"""Old place of the recipe, for branches that are not merged yet. To be deleted: nothing in this tree imports it."""

from benchmark.recipe.changes import override as override
from benchmark.recipe.presets import default_preset as default_preset
from benchmark.recipe.presets import preset as preset
from benchmark.recipe.presets import preset_names as preset_names
from benchmark.recipe.schema import Recipe as Config
from benchmark.recipe.schema import TrainingRecipe as TrainingConfig
from benchmark.recipe.spelling import unknown as unknown

__all__ = ["Config", "TrainingConfig", "default_preset", "override", "preset", "preset_names", "unknown"]
