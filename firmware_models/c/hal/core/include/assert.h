/* All that the register header needs of <assert.h>, which a compiler without a C library does not bring. */
#ifndef TSU_ASSERT_H
#define TSU_ASSERT_H
#define static_assert _Static_assert
#endif
