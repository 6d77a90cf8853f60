"""The types of the kernels' arguments: what is compiled for, and what the hosts must launch with.

Numba compiles a kernel for whatever it is launched with. check_ladder.py compares these with
every launch in the simulator, so the kernels that are compiled without a GPU are the ones that
would run on a GPU.
"""

from numba import boolean, int64

# Modules that launch the kernels of others.
KERNELS_OF = {"graph": "kernel_per_operation", "cublas": "tiled"}


def signatures(real):
    """The arguments of the kernels, by module and name."""
    flat, matrix, cube, integers = real[::1], real[:, ::1], real[:, :, ::1], int64[::1]
    data = matrix, matrix
    kept = boolean, cube, cube
    whole_run = (*data, matrix, matrix, real, integers, cube, cube, flat, *kept)
    return {
        "one_thread": {"train_kernel": whole_run},
        "one_block": {"train_kernel": whole_run},
        "one_warp": {"train_kernel": whole_run},
        "kernel_per_operation": {
            "forward": (matrix,) * 3,
            "output_delta": (matrix,) * 4,
            "hidden_delta": (matrix,) * 5,
            "update": (matrix, matrix, real, matrix),
            "mean_error": (matrix, matrix, flat),
        },
        "thread_per_network": {"advance": (*data, matrix, matrix, real, int64, flat, *kept)},
        "warp_per_network": {"advance": (*data, cube, cube, real, int64, flat, *kept)},
        "tiled": {
            "product": (matrix, matrix, matrix, real, real, boolean, boolean),
            "activate": (matrix,),
            "times_slope": (matrix,) * 3,
        },
    }
