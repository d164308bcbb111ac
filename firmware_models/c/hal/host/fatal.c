#include "fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fatal(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("tsu_firmware: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}
