"""Memory that nobody wrote: what it holds, and how it looks as a number."""

import ctypes
import struct

import numpy as np
import pytest

from conformance.process import memory

LIBC = ctypes.CDLL(None)
BYTES = 100_000  # the allocator's small blocks are reused without being filled


def test_numbers_of_unwritten_memory_are_neither_zero_nor_nan() -> None:
    # As memory.py says them: handed out, as float64 and as float32.
    for fill, double, single in ((0x80, 1.4e306, 3.4e38), (0x40, -0.124, -1.5)):
        assert fill in memory.FILLS
        found = bytes([fill ^ 0xFF] * 8)
        assert struct.unpack("d", found)[0] == pytest.approx(double, rel=0.03)
        assert struct.unpack("f", found[:4])[0] == pytest.approx(single, rel=0.03)
    assert memory.FILLS[0] == 0x80


def test_an_unwritten_number_is_known() -> None:
    bits = b"\x7f" * 8  # the complement of 0x80
    double, single = np.frombuffer(bits, "f8")[0], np.frombuffer(bits, "f4")[0]
    assert memory.is_unwritten(float(double), "float64") is True
    assert memory.is_unwritten(float(single), "float32") is True
    assert memory.is_unwritten(float(single), "float64") is False
    assert memory.is_unwritten(float(double), "float32") is False
    assert memory.is_unwritten(0.0, "float64") is False


def test_what_else_the_environment_says_is_kept() -> None:
    env = {"A": "b", "MALLOC_PERTURB_": "0", "GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    assert memory.filled(env) == {
        "A": "b",
        "MALLOC_PERTURB_": "128",
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0",
    }
    assert env["MALLOC_PERTURB_"] == "0"
    assert memory.filled({})["GLIBC_TUNABLES"] == "glibc.malloc.tcache_count=0"


@pytest.mark.skipif(not hasattr(LIBC, "mallopt"), reason="only glibc fills memory")
def test_memory_is_filled_with_another_byte_from_now_on() -> None:
    LIBC.malloc.restype = ctypes.c_void_p
    try:
        for byte in (*memory.FILLS, 0x01):
            memory.fill_with(byte)
            block = ctypes.c_void_p(LIBC.malloc(BYTES))
            assert {*ctypes.string_at(block, BYTES)} == {byte ^ 0xFF}
            LIBC.free(block)
    finally:
        memory.fill_with(0)


def test_a_system_that_cannot_fill_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.fill_with(1)  # raises nothing
