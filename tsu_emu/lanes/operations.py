"""Operations on vectors, each with the instruction that it stands for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from tsu_emu.lanes.values import (
    BIT,
    BLOCKS,
    BYTE,
    BYTES,
    DOUBLES,
    FLOATS,
    INTS,
    LANES,
    QUAD,
    REAL,
    WORD,
    call,
    constant,
    instruction,
    splat,
)

MASK = ir.IntType(LANES)
_PLANES = 64
_SPREAD = [8 * (7 - word) + byte for byte in range(8) for word in range(8)]
"""Where the bytes of eight words go, so that eight bytes side by side are of the same eight planes, the last word first."""
_IDENTITY = 0x8040201008040201
"""The 8x8 bit matrix that changes nothing; as the first operand of vgf2p8affineqb it transposes the second."""


@instruction(INTS, types.int32)
def ints(b: Any, x: Any) -> Any:
    """The same integer in all lanes. vpbroadcastd"""
    return splat(b, INTS, x)


@instruction(FLOATS, types.float32)
def floats(b: Any, x: Any) -> Any:
    """The same number in all lanes. vbroadcastss"""
    return splat(b, FLOATS, x)


@instruction(DOUBLES, types.float64)
def doubles(b: Any, x: Any) -> Any:
    """The same number in all lanes. vbroadcastsd"""
    return splat(b, DOUBLES, x)


@instruction(INTS, types.int32)
def counting(b: Any, first: Any) -> Any:
    """first, first + 1, ... vpaddd"""
    return b.add(splat(b, INTS, first), constant(INTS, range(LANES)))


@instruction(FLOATS, INTS)
def to_floats(b: Any, x: Any) -> Any:
    """Rounded to the nearest, ties to even. vcvtdq2ps"""
    return b.sitofp(x, FLOATS.llvm)


@instruction(INTS, FLOATS)
def to_ints(b: Any, x: Any) -> Any:
    """Without what is behind the point. vcvttps2dq"""
    return b.fptosi(x, INTS.llvm)


@instruction(FLOATS, INTS)
def as_floats(b: Any, x: Any) -> Any:
    """The same bits."""
    return b.bitcast(x, FLOATS.llvm)


@instruction(FLOATS, FLOATS)
def floor(b: Any, x: Any) -> Any:
    """vrndscaleps"""
    return call(b, "llvm.floor.v16f32", x)


@instruction(FLOATS, FLOATS, types.float32)
def limited(b: Any, x: Any, limit: Any) -> Any:
    """To -limit .. limit. vmaxps, vminps"""
    high = splat(b, FLOATS, limit)
    low = b.fneg(high)
    x = b.select(b.fcmp_ordered(">", x, low), x, low)
    return b.select(b.fcmp_ordered("<", x, high), x, high)


def _half(first: int) -> Any:
    places = ir.Constant(ir.VectorType(WORD, LANES // 2), list(range(first, first + LANES // 2)))

    @instruction(DOUBLES, FLOATS)
    def half(b: Any, x: Any) -> Any:
        return b.fpext(b.shuffle_vector(x, x, places), DOUBLES.llvm)

    return half


lower_half, upper_half = _half(0), _half(LANES // 2)
"""Lanes 0 .. 7, or 8 .. 15. vextractf64x4, vcvtps2pd"""


@instruction(FLOATS, DOUBLES, DOUBLES)
def to_halves(b: Any, lower: Any, upper: Any) -> Any:
    """Rounded to the nearest, ties to even. vcvtpd2ps, vinsertf64x4"""
    eight = ir.VectorType(REAL, LANES // 2)
    lanes = ir.Constant(ir.VectorType(WORD, LANES), list(range(LANES)))
    return b.shuffle_vector(b.fptrunc(lower, eight), b.fptrunc(upper, eight), lanes)


@instruction(DOUBLES, DOUBLES, types.float64)
def limited_doubles(b: Any, x: Any, limit: Any) -> Any:
    """To -limit .. limit. vmaxpd, vminpd"""
    high = splat(b, DOUBLES, limit)
    low = b.fneg(high)
    x = b.select(b.fcmp_ordered(">", x, low), x, low)
    return b.select(b.fcmp_ordered("<", x, high), x, high)


@instruction(INTS, INTS, types.int32)
def shifted_up(b: Any, x: Any, by: Any) -> Any:
    """vpslld"""
    return b.shl(x, splat(b, INTS, by))


@instruction(INTS, INTS, types.int32)
def shifted_down(b: Any, x: Any, by: Any) -> Any:
    """As unsigned integers. vpsrld"""
    return b.lshr(x, splat(b, INTS, by))


@instruction(INTS, INTS, types.int32)
def rotated(b: Any, x: Any, by: Any) -> Any:
    """To higher places. vprold"""
    return call(b, "llvm.fshl.v16i32", x, x, splat(b, INTS, by))


@instruction(types.uint64, FLOATS, types.float32)
def below(b: Any, x: Any, limit: Any) -> Any:
    """Bit r tells whether lane r is less than limit. vcmpltps"""
    bits = b.fcmp_ordered("<", x, splat(b, FLOATS, limit))
    return b.zext(b.bitcast(bits, MASK), QUAD)


@instruction(types.uint64, INTS, types.uint32)
def under(b: Any, x: Any, limit: Any) -> Any:
    """Bit r tells whether lane r is less than limit, both as unsigned integers. vpcmpltud"""
    return b.zext(b.bitcast(b.icmp_unsigned("<", x, splat(b, INTS, limit)), MASK), QUAD)


@instruction(types.uint64, types.uint64, types.uint64)
def gathered(b: Any, word: Any, mask: Any) -> Any:
    """Those bits of the word whose bit of the mask is 1, side by side from bit 0 on. pext"""
    return call(b, "llvm.x86.bmi.pext.64", word, mask)


@instruction(types.uint64, types.uint64, types.uint64)
def scattered(b: Any, bits: Any, mask: Any) -> Any:
    """The inverse of `gathered`; 0 where the mask is. pdep"""
    return call(b, "llvm.x86.bmi.pdep.64", bits, mask)


@instruction(types.int64, types.uint64)
def ones(b: Any, word: Any) -> Any:
    """How many bits are 1. popcnt"""
    return call(b, "llvm.ctpop.i64", word)


@instruction(FLOATS, FLOATS, types.uint16)
def chosen(b: Any, x: Any, mask: Any) -> Any:
    """Those lanes whose bit of the mask is 1, side by side from lane 0 on, then zeros. vcompressps"""
    bits = b.bitcast(mask, ir.VectorType(BIT, LANES))
    return call(b, "llvm.x86.avx512.mask.compress.v16f32", x, constant(FLOATS, [0.0] * LANES), bits)


@instruction(types.uint16, types.uint16)
def opaque(b: Any, x: Any) -> Any:
    """The same, unknown to the compiler, which would replace selections by constant masks with slower shuffles."""
    return b.asm(ir.FunctionType(MASK, [MASK]), "", "=r,0", [x], False)


@instruction(INTS, INTS, types.int32, types.uint16)
def added_where(b: Any, x: Any, value: Any, mask: Any) -> Any:
    """value is added in the lanes whose bit of the mask is 1. vpaddd with a mask"""
    chosen = b.bitcast(mask, ir.VectorType(BIT, LANES))
    return b.select(chosen, b.add(x, splat(b, INTS, value)), x)


@instruction(BYTES, *[types.uint64] * 8)
def transposed(b: Any, *words: Any) -> Any:
    """Byte r holds bit r of the eight words, word k at its bit k. vpermb, vgf2p8affineqb"""
    eight = ir.Constant(BLOCKS.llvm, ir.Undefined)
    for k, word in enumerate(words):
        eight = b.insert_element(eight, word, ir.Constant(WORD, k))
    x = b.bitcast(eight, BYTES.llvm)
    x = b.shuffle_vector(x, x, ir.Constant(ir.VectorType(WORD, _PLANES), _SPREAD))
    identity = b.bitcast(constant(BLOCKS, [_IDENTITY] * 8), BYTES.llvm)
    return call(b, "llvm.x86.vgf2p8affineqb.512", identity, x, ir.Constant(BYTE, 0))


@instruction(BYTES, BYTES, types.uint64, types.uint64)
def with_bit(b: Any, x: Any, k: Any, word: Any) -> Any:
    """Bit k of byte r becomes bit r of the word. vpternlogd, vpblendmb"""
    bit = splat(b, BYTES, b.shl(ir.Constant(BYTE, 1), b.trunc(k, BYTE)))
    return b.select(b.bitcast(word, ir.VectorType(BIT, _PLANES)), b.or_(x, bit), b.and_(x, b.not_(bit)))


def _quarter(q: int) -> Any:
    places = [LANES * q + byte // 4 for byte in range(_PLANES)]

    @instruction(INTS, BYTES)
    def quarter(b: Any, x: Any) -> Any:
        return b.bitcast(call(b, "llvm.x86.avx512.permvar.qi.512", x, constant(BYTES, places)), INTS.llvm)

    return quarter


quarter_0, quarter_1, quarter_2, quarter_3 = (_quarter(q) for q in range(4))
"""Bytes 16 q .. 16 q + 15, one to a lane, in each of its bytes. vpermb"""


def _interleaved(q: int) -> Any:
    """Lane 4 g + k: lane 4 q + g of vector k. vpermt2d"""
    pairs = [4 * q + lane // 4 + LANES * (lane & 1) for lane in range(LANES)]
    sides = [lane + LANES * (lane >> 1 & 1) for lane in range(LANES)]

    @instruction(INTS, INTS, INTS, INTS, INTS)
    def interleaved(b: Any, x0: Any, x1: Any, x2: Any, x3: Any) -> Any:
        kind = ir.VectorType(WORD, LANES)
        low, high = (b.shuffle_vector(x, y, ir.Constant(kind, pairs)) for x, y in ((x0, x1), (x2, x3)))
        return b.shuffle_vector(low, high, ir.Constant(kind, sides))

    return interleaved


interleaved_0, interleaved_1, interleaved_2, interleaved_3 = (_interleaved(q) for q in range(4))


@instruction(INTS, INTS, INTS, types.uint64, types.uint64)
def added_where_bits(b: Any, x: Any, y: Any, bits: Any, first: Any) -> Any:
    """y is added in the lanes r whose bit first + r of the bits is 1. vpaddd with a mask"""
    chosen = b.bitcast(b.trunc(b.lshr(bits, first), MASK), ir.VectorType(BIT, LANES))
    return b.select(chosen, b.add(x, y), x)


@instruction(INTS, INTS, INTS)
def looked_up(b: Any, table: Any, lanes: Any) -> Any:
    """Of each lane, the entry of the table that its four lowest bits name. vpermd"""
    return call(b, "llvm.x86.avx512.permvar.si.512", table, lanes)


@instruction(BLOCKS, types.uint64, types.uint64)
def blocks(b: Any, low: Any, high: Any) -> Any:
    """The same 128 bits four times. vpbroadcastq, vpunpcklqdq"""
    empty = ir.Constant(BLOCKS.llvm, ir.Undefined)
    one = b.insert_element(b.insert_element(empty, low, ir.Constant(WORD, 0)), high, ir.Constant(WORD, 1))
    return b.shuffle_vector(one, empty, ir.Constant(ir.VectorType(WORD, 8), [0, 1] * 4))


@instruction(BLOCKS, types.uint64)
def counting_blocks(b: Any, step: Any) -> Any:
    """Blocks of 0, step, 2 step, 3 step in their lower halves. vpmullq, when compiling"""
    return b.mul(splat(b, BLOCKS, step), constant(BLOCKS, [0, 0, 1, 0, 2, 0, 3, 0]))


@instruction(INTS, BLOCKS)
def as_ints(b: Any, x: Any) -> Any:
    """The same bits."""
    return b.bitcast(x, INTS.llvm)


@instruction(BLOCKS, BLOCKS, BLOCKS)
def aes_round(b: Any, x: Any, key: Any) -> Any:
    """One round of AES in each block. vaesenc"""
    return call(b, "llvm.x86.aesni.aesenc.512", x, key)


@instruction(BLOCKS, BLOCKS, BLOCKS)
def last_aes_round(b: Any, x: Any, key: Any) -> Any:
    """One round of AES without mixing of columns in each block. vaesenclast"""
    return call(b, "llvm.x86.aesni.aesenclast.512", x, key)


@instruction(BLOCKS, BYTES)
def as_blocks(b: Any, x: Any) -> Any:
    """The same bits."""
    return b.bitcast(x, BLOCKS.llvm)


@instruction(BYTES, BLOCKS)
def as_bytes(b: Any, x: Any) -> Any:
    """The same bits."""
    return b.bitcast(x, BYTES.llvm)


@instruction(BLOCKS, types.uint64)
def first_block(b: Any, low: Any) -> Any:
    """The number in the first half of the first block, else 0. vmovq"""
    return b.insert_element(constant(BLOCKS, [0] * 8), low, ir.Constant(WORD, 0))


def _products(halves: int) -> Any:
    @instruction(BLOCKS, BLOCKS, BLOCKS)
    def products(b: Any, x: Any, y: Any) -> Any:
        return call(b, "llvm.x86.pclmulqdq.512", x, y, ir.Constant(BYTE, halves))

    return products


lower_products, upper_products = _products(0x00), _products(0x11)
"""Products without carries of the lower halves of each block, or of the upper ones. vpclmulqdq"""
