/* Firmware that reads where nothing is, when it gets a word by the mailbox. */
#include "boot.h"
#include "tsu_hal.h"

uint32_t boot(void) {
    tsu_report_boot(2, 0);
    return 0;
}

void serve_commands(void) {
    uint32_t word;
    tsu_mailbox_take(&word);
    tsu_mailbox_put(tsu_read32(word));
}
