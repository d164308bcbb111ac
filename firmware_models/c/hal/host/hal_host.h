/* Opening and closing of the host back end. */
#ifndef TSU_HAL_HOST_H
#define TSU_HAL_HOST_H

#include <stdbool.h>

/* Connects, says HELLO, waits until the chip has booted. record: path of a file for all messages, or NULL; trace: interrupts
 * and boot stages on stderr. Ends the program if it cannot. */
void hal_open(const char *endpoint, const char *record, int timeout_ms, bool trace);
void hal_close(void);

#endif
