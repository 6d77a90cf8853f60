"""Which samples an update learns from."""


def batch_slice(samples: int, batch_size: int, iteration: int) -> slice:
    """The rows of mini-batch `iteration`, counted from 0; all rows if `batch_size` is 0.

    The batches follow each other through the samples and begin again after the last, which is
    smaller where batch_size does not divide the number of samples.
    """
    if not batch_size:
        return slice(0, samples)
    count = -(-samples // batch_size)
    first = iteration % count * batch_size
    return slice(first, min(first + batch_size, samples))
