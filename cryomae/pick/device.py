"""Which device computes, in which precision, and how many windows at a time."""

import psutil
import torch

from cryomae.errors import InputError

_BYTES_PER_WINDOW = 8 * 2**20  # a window of the default model took 4.5 MiB at most (float32, CPU)
_MOST = {"cpu": 2, "mps": 64, "cuda": 128}  # float32; on a CPU the work should stay in the cache


def choose_device(name: str = "auto") -> torch.device:
    """Device by name; ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If the device does not exist here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(
            f"there is no device '{name}'", "use auto, cpu, cuda, cuda:1 or mps"
        ) from error
    missing = (
        (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count())
        or (device.type == "mps" and not torch.backends.mps.is_available())
        or device.type not in _MOST
    )
    if missing:
        raise InputError(f"the device '{name}' is not available here", "use --device auto or cpu")
    return device


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it faster than float32, else float32."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        # Older torch cannot tell; float32 is right everywhere.
        capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        fast = bool(capability.get("amx_bf16") or capability.get("avx512_bf16"))
    else:
        fast = False
    return torch.bfloat16 if fast else torch.float32


def choose_batch(device: torch.device, dtype: torch.dtype) -> int:
    """Windows at a time that fit into a quarter of the free memory."""
    free = (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
    )
    most = _MOST[device.type] * torch.float32.itemsize // dtype.itemsize
    return int(max(1, min(most, free // 4 // _BYTES_PER_WINDOW)))
