/* Firmware that reads where a word by the mailbox says, or loops for ever if the word is odd. */
#include "boot.h"
#include "tsu_hal.h"

uint32_t boot(void) {
    tsu_report_boot(2, 0);
    return 0;
}

void serve_commands(void) {
    uint32_t word;
    tsu_mailbox_take(&word);
    while (word & 1) {
        __asm__ volatile("");
    }
    tsu_mailbox_put(tsu_read32(word));
}
