"""MurmurHash3, x86 32-bit (Austin Appleby, public domain): the hash under `hash_bucket`."""

from functools import cache

_MASK = 0xFFFFFFFF


@cache
def murmur3_32(text: str) -> int:
    """Hash of `text`'s UTF-8 bytes with seed 0, in 0 .. 2**32."""
    data = text.encode()
    whole = len(data) // 4 * 4
    state = 0
    for offset in range(0, whole, 4):
        state ^= _scramble(int.from_bytes(data[offset : offset + 4], "little"))
        state = (_rotate(state, 13) * 5 + 0xE6546B64) & _MASK
    if whole < len(data):
        state ^= _scramble(int.from_bytes(data[whole:], "little"))
    return _avalanche(state ^ len(data))


def _scramble(block: int) -> int:
    return _rotate(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK


def _avalanche(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    return value ^ value >> 16
