"""Vectors as values of compiled code: sixteen 32-bit integers or floats, eight floats of 64, or sixty-four bytes, in 512 bits.

Only code behind `target.HAS_VECTORS` may be compiled with them. Operators work lane by lane; each rounds by
itself, and `+` of integers wraps.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16
BIT, BYTE, WORD, QUAD, REAL = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
DOUBLE = ir.DoubleType()
_ELEMENTS = {
    "int32x16": (WORD, 16), "float32x16": (REAL, 16), "float64x8": (DOUBLE, 8), "uint8x64": (BYTE, 64), "uint64x8": (QUAD, 8)
}  # fmt: skip


class Vector(types.Type):
    """Type of a vector, by its name in Numba's terms."""

    @property
    def llvm(self) -> ir.VectorType:
        """As LLVM has it."""
        return ir.VectorType(*_ELEMENTS[self.name])


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


INTS, FLOATS, BYTES, BLOCKS = Vector("int32x16"), Vector("float32x16"), Vector("uint8x64"), Vector("uint64x8")
DOUBLES = Vector("float64x8")


_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def with_vectors(function: Callable[..., Any]) -> Any:
    """Compile a function that takes or returns vectors; it becomes a part of the kernel that calls it."""
    return njit(forceinline=True, **_OPTIONS)(function)


def constant(kind: Vector, values: Any) -> ir.Constant:
    """A vector that is known when compiling."""
    return ir.Constant(kind.llvm, list(values))


def splat(builder: ir.IRBuilder, kind: Vector, value: Any) -> Any:
    """The same in all lanes. vpbroadcast"""
    empty = ir.Constant(kind.llvm, ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(WORD, kind.llvm.count), [0] * kind.llvm.count))


def instruction(result: types.Type, *arguments: types.Type) -> Callable[[Callable[..., Any]], Any]:
    """Make a function of compiled code, of these types, from one that writes its LLVM: write(builder, *values) -> value."""

    def declare(write: Callable[..., Any]) -> Any:
        def typed(typing: Any, *_: Any) -> Any:
            def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
                return write(builder, *args)

            return result(*arguments), code

        names = ["typing", *(f"x{k}" for k in range(len(arguments)))]
        typed.__signature__ = Signature([Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in names])  # type: ignore[attr-defined]
        typed.__name__, typed.__doc__ = write.__name__, write.__doc__
        return intrinsic(typed)

    return declare


def call(builder: ir.IRBuilder, name: str, *arguments: Any, returns: Any = None) -> Any:
    """LLVM's own function `name`, which returns what its first argument is unless said otherwise."""
    kind = ir.FunctionType(returns or arguments[0].type, [a.type for a in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@intrinsic
def _address(typing: Any, array: Any) -> Any:
    """Where a contiguous array's elements begin. Reading there asks neither for bounds nor for owners: the caller keeps both."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, QUAD)

    return types.intp(array), code


address: Any = _address


def _pointer(builder: ir.IRBuilder, element: ir.Type, where: Any, index: Any) -> Any:
    return builder.gep(builder.inttoptr(where, element.as_pointer()), [index])


def _reads(result: Any, element: ir.Type) -> Any:
    vector = isinstance(result, Vector)

    @instruction(result, types.intp, types.intp)
    def read(b: Any, where: Any, index: Any) -> Any:
        pointer = _pointer(b, element, where, index)
        return b.load(b.bitcast(pointer, result.llvm.as_pointer()) if vector else pointer, align=4 if vector else None)

    return read


int32_at, uint32_at, int64_at, uint64_at = (
    _reads(kind, element)
    for kind, element in ((types.int32, WORD), (types.uint32, WORD), (types.int64, QUAD), (types.uint64, QUAD))
)
float32_at = _reads(types.float32, REAL)
"""of_at(where, index): an element of an array of that type that begins at `where`."""
ints_at, floats_at, bytes_at = _reads(INTS, WORD), _reads(FLOATS, REAL), _reads(BYTES, BYTE)
doubles_at = _reads(DOUBLES, DOUBLE)
"""of_at(where, index): a vector of the elements from that index on. vmovdqu32, vmovups, vmovdqu8, vmovupd"""


def _memory(vectors: int) -> Any:
    @instruction(types.intp)
    def memory(b: Any) -> Any:
        return b.ptrtoint(cgutils.alloca_once(b, INTS.llvm, size=vectors), QUAD)

    return memory


memory_for_16, memory_for_64 = _memory(16), _memory(64)
"""Address of room for so many vectors; it lives as long as the kernel that asks."""


def _puts(kind: Vector, element: ir.Type) -> Any:
    @instruction(types.void, types.intp, types.intp, kind)
    def put(b: Any, where: Any, index: Any, vector: Any) -> Any:
        b.store(vector, b.bitcast(_pointer(b, element, where, index), kind.llvm.as_pointer()), align=4)
        return ir.Constant(BYTE.as_pointer(), None)

    return put


put_ints, put_bytes = _puts(INTS, WORD), _puts(BYTES, BYTE)
put_floats, put_doubles = _puts(FLOATS, REAL), _puts(DOUBLES, DOUBLE)
"""put(where, index, vector): lanes to elements from that index on of an array that begins at `where`. As of_at."""


@instruction(types.void, types.intp)
def soon(b: Any, where: Any) -> Any:
    """The line at an address will be read. prefetcht0"""
    pointer = b.inttoptr(where, BYTE.as_pointer())
    b.call(
        cgutils.get_or_insert_function(
            b.module, ir.FunctionType(ir.VoidType(), [pointer.type, WORD, WORD, WORD]), "llvm.prefetch.p0"
        ),
        [pointer, ir.Constant(WORD, 0), ir.Constant(WORD, 3), ir.Constant(WORD, 1)],
    )
    return ir.Constant(BYTE.as_pointer(), None)


@instruction(types.void, types.intp, types.intp, types.uint64)
def put_uint64(b: Any, where: Any, index: Any, value: Any) -> Any:
    """An element of an array of uint64 that begins at `where`."""
    b.store(value, _pointer(b, QUAD, where, index))
    return ir.Constant(BYTE.as_pointer(), None)


@instruction(types.void, types.intp, types.intp, types.int32)
def put_int32(b: Any, where: Any, index: Any, value: Any) -> Any:
    """An element of an array of int32 that begins at `where`."""
    b.store(value, _pointer(b, WORD, where, index))
    return ir.Constant(BYTE.as_pointer(), None)


def _operators(name: Any, kind: Vector, emit: Callable[[Any, Any, Any], Any]) -> None:
    def typing(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return kind if a == kind and b == kind else None

        return typer

    def lowering(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit(builder, args[0], args[1])

    type_callable(name)(typing)
    lower_builtin(name, kind, kind)(lowering)


_operators(operator.add, INTS, lambda b, x, y: b.add(x, y))
_operators(operator.xor, INTS, lambda b, x, y: b.xor(x, y))
_operators(operator.add, BLOCKS, lambda b, x, y: b.add(x, y))
_operators(operator.xor, BLOCKS, lambda b, x, y: b.xor(x, y))
for _kind in (FLOATS, DOUBLES):
    _operators(operator.add, _kind, lambda b, x, y: b.fadd(x, y))
    _operators(operator.sub, _kind, lambda b, x, y: b.fsub(x, y))
    _operators(operator.mul, _kind, lambda b, x, y: b.fmul(x, y))
