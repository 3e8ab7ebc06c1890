"""OpenVINO, imported without its telemetry.

On import, that would write into the home folder and report over the network.

Whoever needs OpenVINO imports it from here, and only once it is known to be wanted.
"""

import sys

_TELEMETRY = "openvino_telemetry"

_before = sys.modules.get(_TELEMETRY)
if _before is None:
    # What OpenVINO takes for "not installed"; it has a stub for that.
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
try:
    import openvino as ov
    from openvino import opset13 as op
    from openvino.preprocess import PrePostProcessor
finally:
    if _before is None:
        del sys.modules[_TELEMETRY]

__all__ = ["PrePostProcessor", "op", "ov"]
