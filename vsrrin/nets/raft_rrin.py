"""RAFT_RRIN: RRIN with the flow of RAFT in place of its first U-Net.

Papers: Li, Yuan, Wang: "Video frame interpolation via residue refinement", ICASSP 2020; Teed, Deng: "RAFT: recurrent
all-pairs field transforms for optical flow", ECCV 2020.
Upstream: none. The README of https://github.com/Thomasedv/RRIN names the combination, but neither its code nor
weights of it are published; the keys are vsrrin's own: those of RAFT's authors under ``raft.``, and RRIN's.
Code licence: vsrrin's; see ``raft.py`` and ``rrin.py`` for what they derive from.
Weights licence: as the checkpoint's author says; put together from published files, that of each (RAFT: BSD
3-clause; RRIN: non-commercial research use).

Differs from RRIN:

- The flow of the pair is RAFT's, which is in pixels of the frame and exact in its positions.
- ``exact`` coordinates of the warp are the first arithmetic, since nothing published was trained with any other;
  RRIN's parts out of a published checkpoint know ``published`` (see ``rrin.py``), and are loaded with it.
"""

from collections.abc import Mapping

from torch import Tensor

from vsrrin.nets.parts.checks import check_inputs
from vsrrin.nets.parts.residue import FLOW_KEYS, RESIDUE_KEYS, SIZE_MULTIPLE, ResidueNet, mask_weights, unet_keys
from vsrrin.nets.parts.unet import UNet
from vsrrin.nets.parts.warp import EXACT, PUBLISHED, WarpArithmetic

from .keys import Keys
from .parts import raft
from .spec import BlendMask, NetSpec, Part

_ARITHMETICS: dict[str, WarpArithmetic] = {"exact": EXACT, "published": PUBLISHED}


class RAFTRRIN(ResidueNet):
    """RRIN's network on RAFT's flow: refined flow at time t, blending mask, residue on the blended picture.

    The number of RAFT's iterations is ``raft.iterations``; it is not part of the weights.
    """

    def __init__(
        self, arithmetic: str = "exact", *, small: bool = False, iterations: int = 12, width: int = 32
    ) -> None:
        """Make the layers.

        Args:
            arithmetic: ``exact`` or ``published``.
            small: Whether RAFT is the small one.
            iterations: Number of RAFT's corrections.
            width: Channels of the first level of the U-Nets.
        """
        super().__init__()
        self.warp = _ARITHMETICS[arithmetic]
        self.raft = raft.RAFT(small=small, iterations=iterations)
        self.Mask = UNet(16, 2, 4, align_corners=False, width=width)
        self.refine_flow = UNet(10, 4, 4, align_corners=False, width=width)
        self.final = UNet(9, 3, 4, align_corners=False, width=width)

    def estimate(self, img0: Tensor, img1: Tensor) -> Tensor:
        """See `ResidueNet`."""
        check_inputs("RAFTRRIN.estimate", SIZE_MULTIPLE, img0, img1)
        return self.raft.bidirectional(img0, img1)


_RAFT = "raft."


_KEYS = Keys(
    {
        **{
            f"{_RAFT}{layer}.weight": None
            for layer in ("fnet.conv1", "cnet.conv1", "update_block.encoder.convc1", "update_block.flow_head.conv2")
        },
        **RESIDUE_KEYS,
        **unet_keys("Mask", 16, 2, "width"),
    }
)


def _build(state: Mapping[str, Tensor], arithmetic: str) -> RAFTRRIN:
    small = raft.is_small({key.removeprefix(_RAFT) for key in state if key.startswith(_RAFT)})
    return RAFTRRIN(arithmetic, small=small, **_KEYS.sizes(state))


def _renamed_raft(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    keys = raft.canonical_keys(state)
    return None if keys is None else {_RAFT + key: value for key, value in keys.items()}


def _without_flow(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith("Flow_L.")}


SPEC = NetSpec(
    name="raft_rrin",
    paper=(
        "Li et al., Video frame interpolation via residue refinement, ICASSP 2020; Teed and Deng, RAFT: recurrent "
        "all-pairs field transforms for optical flow, ECCV 2020"
    ),
    upstream="none; named in the README of https://github.com/Thomasedv/RRIN; RAFT: princeton-vl/RAFT at 2888e15",
    code_licence="independent implementation, MIT (upstream code of RAFT: BSD 3-clause, of RRIN: non-commercial)",
    weights_licence="as the authors of the parts say; RAFT: BSD 3-clause; RRIN: non-commercial research use",
    weights_from=(
        "Put a checkpoint of RAFT (from the README of https://github.com/princeton-vl/RAFT, or torchvision's "
        "raft_large or raft_small) and one of RRIN (from the README of https://github.com/HopLee6/RRIN, for "
        "non-commercial research use) into a folder of their own, and give its path as the model."
    ),
    size_multiple=SIZE_MULTIPLE,
    arbitrary_t=True,
    supports_half=True,
    external_flow=False,
    estimates_flow=True,
    bytes_per_pixel=1100,  # as RRIN's parts, which are measured there; RAFT: 980 at 864x480, where all pairs just fit
    arithmetics=tuple(_ARITHMETICS),
    keys=_KEYS,
    build=_build,
    default=RAFTRRIN,
    mask=BlendMask("Mask", mask_weights),
    parts=(
        Part(
            name="RAFT",
            published_as="a checkpoint of RAFT, large or small, of its authors or torchvision",
            rename=_renamed_raft,
        ),
        Part(
            name="RRIN",
            published_as="a checkpoint of RRIN (pretrained_model.pth.tar)",
            # With `beta` it is RRIN with softmax splatting, whose mask and residue know a splatted picture.
            keys=Keys({**RESIDUE_KEYS, **FLOW_KEYS}, lacks=("beta",)),
            rename=_without_flow,
            left_out="Flow_L, RRIN's own estimate of flow",
            arithmetic="published",
        ),
    ),
)
