/* What tsu.h needs of it, without a C library. */
#define static_assert _Static_assert
