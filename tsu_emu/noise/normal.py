"""Normal deviates in float64 that are the same on every machine: + - x / and square root only.

Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988) 477-484; relative accuracy about 1e-16. The logarithm is the
project's own, since libraries differ in its last bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tsu_emu.jit import inner, kernel
from tsu_emu.noise.threefry import threefry

U = np.uint32

A = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
B = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
)  # fmt: skip
C = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
D = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
)  # fmt: skip
E = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
F = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
)  # fmt: skip


@inner
def _horner(c, x):  # type: ignore[no-untyped-def]
    s = c[7]
    for k in range(6, -1, -1):
        s = s * x + c[k]
    return s


@kernel
def natural_log(x):  # type: ignore[no-untyped-def]
    """ln x of a positive normal float64; docs/arithmetic.md, "Normal deviate"."""
    m, k = math.frexp(x)
    if m < 0.7071067811865476:
        m = m + m
        k = k - 1
    f = (m - 1.0) / (m + 1.0)
    z = f * f
    s = 1.0 / 21.0
    for n in range(19, 0, -2):
        s = s * z + 1.0 / n
    return k * 0.6931471805599453 + (f + f) * s


@kernel
def normal_of(a, b):  # type: ignore[no-untyped-def]
    """Standard normal deviate, float64, of two uint32 noise words."""
    m = (np.uint64(a) << np.uint64(20)) | (np.uint64(b) >> np.uint64(12))
    u = (2.0 * np.float64(m) + 1.0) * (1.0 / 9007199254740992.0)
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return (q * _horner(A, r)) / _horner(B, r)
    r = np.sqrt(-natural_log(min(u, 1.0 - u)))
    if r <= 5.0:
        r = r - 1.6
        z = _horner(C, r) / _horner(D, r)
    else:
        r = r - 5.0
        z = _horner(E, r) / _horner(F, r)
    return -z if q < 0.0 else z


@kernel
def normals(seed: np.uint64, stream: int, first: int, elements: int, subs: int, sub0: int) -> NDArray[np.float64]:
    """Deviates of elements first .. first + elements - 1, subs sub0 .. sub0 + subs - 1, shape (elements, subs)."""
    k0, k1, k2 = U(seed & np.uint64(0xFFFFFFFF)), U(seed >> np.uint64(32)), U(stream)
    out = np.empty((elements, subs), np.float64)
    for e in range(elements):
        for s in range(subs):
            a, b, _, _ = threefry(U(first + e), U(sub0 + s), U(0), U(0), k0, k1, k2, U(0))
            out[e, s] = normal_of(a, b)
    return out
