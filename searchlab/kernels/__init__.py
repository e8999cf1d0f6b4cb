"""Compiled kernels of what NumPy does in many passes over an array, one pass each.

On a CPU, `choice` says whether a process uses them; only then are the modules of Numba's kernels imported. `cells` has
those of a CUDA device, which are always used there. The code of a layer in NumPy stays the reference that tests hold
its kernel to.
"""

from searchlab.kernels.choice import compiled, kernel_set, kernels_are_cold, loaded_kernels, use_kernels, uses_compiled

__all__ = ["compiled", "kernel_set", "kernels_are_cold", "loaded_kernels", "use_kernels", "uses_compiled"]
