"""Options that make a run of `tirg-bench` one of seconds."""

TINY = [
    f"--set={assignment}"
    for assignment in (
        "data.image_size=16", "model.text_width=8", "model.state_width=8", "model.embedding_width=8",
        "training.steps=2", "training.sources=2", "training.modifications=2",
    )
]  # fmt: skip
