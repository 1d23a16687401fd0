"""What is made in inference mode, and must serve training as well."""

from contextlib import AbstractContextManager, nullcontext

import torch


def outside_inference() -> AbstractContextManager[object]:
    """Leave inference mode for a while, whose tensors can never take part in a gradient.

    Elsewhere nothing changes: leaving a mode that was not entered would turn gradients on.
    """
    return torch.inference_mode(mode=False) if torch.is_inference_mode_enabled() else nullcontext()
