"""Noise of clocked p-bits in vectors of 512 bits; the words of `pbit.flip_noise` and its like."""

from __future__ import annotations

from numpy import int32, uint64

from tsu_emu.analog.pbit import LANES
from tsu_emu.lanes.operations import (
    aes_round,
    as_ints,
    blocks,
    counting,
    counting_blocks,
    interleaved_0,
    interleaved_1,
    interleaved_2,
    interleaved_3,
    ints,
    last_aes_round,
)
from tsu_emu.lanes.threefry import sixteen
from tsu_emu.lanes.values import put_ints, with_vectors
from tsu_emu.noise.ars import WEYL_HIGH, WEYL_LOW


@with_vectors
def flip_noise(out, group, plane0, lanes, tick, key):  # type: ignore[no-untyped-def]
    """out, address of (4 x 64,) 32-bit integers: `pbit.flip_noise` in the first `lanes` planes."""
    for q in range(0, lanes, 16):
        x0, x1, x2, x3 = sixteen(ints(int32(group)), counting(int32(plane0 + q)), tick, key)
        put_ints(out, q, x0)
        put_ints(out, LANES + q, x1)
        put_ints(out, 2 * LANES + q, x2)
        put_ints(out, 3 * LANES + q, x3)


@with_vectors
def rank_noise(first, plane, tick, key):  # type: ignore[no-untyped-def]
    """Words of ranks first .. first + 63 in one plane, first a multiple of 4: four vectors."""
    x0, x1, x2, x3 = sixteen(counting(int32(first >> 2)), ints(int32(plane)), tick, key)
    return (
        interleaved_0(x0, x1, x2, x3),
        interleaved_1(x0, x1, x2, x3),
        interleaved_2(x0, x1, x2, x3),
        interleaved_3(x0, x1, x2, x3),
    )


@with_vectors
def round_keys(key):  # type: ignore[no-untyped-def]
    """Keys of the rounds of `ars`, from (3,) uint32."""
    low, high = uint64(key[0]) | uint64(key[1]) << uint64(32), uint64(key[2])
    return (
        blocks(low, high),
        blocks(low + uint64(WEYL_LOW), high + uint64(WEYL_HIGH)),
        blocks(low + uint64(2) * uint64(WEYL_LOW), high + uint64(2) * uint64(WEYL_HIGH)),
        blocks(low + uint64(3) * uint64(WEYL_LOW), high + uint64(3) * uint64(WEYL_HIGH)),
        blocks(low + uint64(4) * uint64(WEYL_LOW), high + uint64(4) * uint64(WEYL_HIGH)),
        blocks(low + uint64(5) * uint64(WEYL_LOW), high + uint64(5) * uint64(WEYL_HIGH)),
    )


@with_vectors
def ars(counter, keys):  # type: ignore[no-untyped-def]
    """`ars.ars` of four counters, five rounds: sixteen words."""
    x = counter ^ keys[0]
    x = aes_round(aes_round(aes_round(aes_round(x, keys[1]), keys[2]), keys[3]), keys[4])
    return as_ints(last_aes_round(x, keys[5]))


@with_vectors
def ars_noise(out, rank, c1, lanes, tick, keys):  # type: ignore[no-untyped-def]
    """out, address of (64,) 32-bit integers: words of a rank in `lanes` planes; c1 : counter word 1 of the first four."""
    step = uint64(1) << uint64(32)
    counter = blocks(uint64(rank) | uint64(c1) << uint64(32), uint64(tick)) + counting_blocks(step)
    four = blocks(uint64(4) * step, uint64(0))
    for q in range(0, lanes, 16):
        put_ints(out, q, ars(counter, keys))
        counter = counter + four
