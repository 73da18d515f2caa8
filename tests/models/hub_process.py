"""Downloads weights from the server that HF_ENDPOINT names; prints what happened to each source."""

import sys

from seewhy.errors import SeeWhyError
from seewhy.models.pretrained import read_weights

for source in sys.argv[1:]:
    try:
        weights = read_weights("resnet18", source)
        print(f"{source}: {len(weights.tensors)} tensors, mean {weights.card.mean[0]}")
    except SeeWhyError as error:
        print(f"{type(error).__name__}: {error}")
