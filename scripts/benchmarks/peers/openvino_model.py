"""Modules of PyTorch compiled by OpenVINO."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn


class Compiled(nn.Module):
    """Module compiled by OpenVINO for every shape it meets."""

    def __init__(self, module: nn.Module, precision: str) -> None:
        super().__init__()
        self._module = [module.eval()]  # in a list, so that it is no part of this one
        self._hints = {
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._requests: dict[tuple[torch.Size, ...], Any] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the module's result, valid until the next call."""
        shapes = tuple(x.shape for x in inputs)
        if shapes not in self._requests:
            self._requests[shapes] = self._request(shapes)
        arrays = [x.contiguous().numpy() for x in inputs]
        result = self._requests[shapes].infer(arrays, share_inputs=True, share_outputs=True)
        return torch.from_numpy(result[0])

    def _request(self, shapes: tuple[torch.Size, ...]) -> Any:
        from vsrrin.engine.backends.openvino_package import ov

        # Black frames do not move, so that no choice by the amount of motion is met with "yes".
        example = tuple(torch.zeros(shape) for shape in shapes)
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converter about itself
            # RIFE keeps grids of coordinates from its first run on, and tracing wants two equal runs.
            self._module[0](*example)
            model = ov.convert_model(self._module[0], example_input=example, input=[list(shape) for shape in shapes])
        return ov.Core().compile_model(model, "CPU", self._hints).create_infer_request()
