"""A tensor's norm and its product with four vectors of random signs: enough to estimate the norm of a difference.

The mean square of the products' differences is an unbiased estimate of the squared norm of the tensors' difference. The
signs are bits of splitmix64 of the element's number, so that anyone can draw them.
"""
import numpy as np
import torch

PRODUCTS = 4


def signs(count):
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    bits = (z[None, :] >> np.arange(PRODUCTS, dtype=np.uint64)[:, None]) & np.uint64(1)
    return torch.from_numpy(1.0 - 2.0 * bits.astype(np.float64))


def sketch(values):
    flat = values.detach().double().flatten()
    return torch.cat([torch.linalg.vector_norm(flat)[None], signs(len(flat)) @ flat])
