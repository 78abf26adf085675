#!/usr/bin/env bash
# timm 1.0.31: with features_only=True a file of weights that does not fit leaves the network random, without an error.
#
# Whoever composes on an encoder of their own (self-supervised, or cut out of a larger checkpoint) starts from such a
# file, and its names often have a prefix ("backbone."). For the same file and the same network, timm 1.0.31 does this:
#
#     create_model("resnet18", pretrained=True, pretrained_cfg_overlay={"file": FILE})
#         names with a prefix:   RuntimeError
#         half of the layers:    RuntimeError
#     create_model("resnet18", pretrained=True, pretrained_cfg_overlay={"file": FILE}, features_only=True)
#         names with a prefix:   no error; every weight is random; one log line, "Unexpected keys (...) found while
#                                loading pretrained weights. This may be expected if model is being adapted."
#         half of the layers:    no error; the other half is random; nothing is logged above INFO
#
# With features_only=True, `load_pretrained` in timm/models/_builder.py leaves out the classifier and sets strict=False
# for the whole network. Training then starts from random weights, and only its result shows it.
#
# The script installs timm and torch in a temporary folder, makes the files from random weights, and fails if timm
# behaves otherwise. TORCH_SITE=/path/to/site-packages borrows torch, torchvision and their dependencies instead of
# downloading them. Seen with torch 2.14.1, torchvision 0.29.1 and Python 3.11 on Linux:
#
#     timm 1.0.31
#     classifier kept, prefix:   RuntimeError
#     classifier kept, half:     RuntimeError
#     features_only, whole file: 20 of 20 convolutions are the file's, 0 warnings
#     features_only, prefix:     0 of 20 convolutions are the file's, 1 warning: Unexpected keys (...) found while loading
#     features_only, half:       10 of 20 convolutions are the file's, 0 warnings
#     as described
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
"$python" -m venv "$folder/venv"
if [ -n "${TORCH_SITE:-}" ]; then
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps timm==1.0.31
    export PYTHONPATH=$TORCH_SITE
else
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check timm==1.0.31 torch==2.14.1 torchvision==0.29.1
fi

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging

import timm
import torch

EXPECTED = {"whole file": (20, 0), "prefix": (0, 1), "half": (10, 0)}
messages = []


class Kept(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


logging.getLogger("timm").addHandler(Kept(logging.WARNING))
print("timm", timm.__version__)

torch.manual_seed(1)
whole = timm.create_model("resnet18").state_dict()
files = {
    "whole file": whole,
    "prefix": {f"backbone.{name}": value for name, value in whole.items()},
    "half": {name: value for name, value in whole.items() if not name.startswith(("layer3", "layer4"))},
}
for name, weights in files.items():
    torch.save(weights, f"{name}.pth")


def made(name, **options):
    torch.manual_seed(2)
    return timm.create_model("resnet18", pretrained=True, pretrained_cfg_overlay={"file": f"{name}.pth"}, **options)


for name in ("prefix", "half"):
    try:
        made(name)
    except RuntimeError:
        print(f"{f'classifier kept, {name}:':26} RuntimeError")
    else:
        raise SystemExit(f"changed: with a classifier, the file '{name}' is accepted")

for name, expected in EXPECTED.items():
    messages.clear()
    network = made(name, features_only=True)
    parameters = dict(network.named_parameters())
    # Norms start at one and zero in every network, so the random filters tell where a layer comes from.
    convolutions = {each: value for each, value in parameters.items() if value.ndim == 4}
    loaded = sum(torch.equal(value, whole[each]) for each, value in convolutions.items())
    start, _, end = (messages or [""])[0].partition("(")
    shown = f": {start}(...){end.partition(')')[2][:20]}" if messages else ""
    print(
        f"{f'features_only, {name}:':26} {loaded} of {len(convolutions)} convolutions are the file's, "
        f"{len(messages)} warning{'' if len(messages) == 1 else 's'}{shown}"
    )
    if (loaded, len(messages)) != expected:
        raise SystemExit(f"changed: expected {expected[0]} convolutions of '{name}' and {expected[1]} warnings")
print("as described")
PYTHON
