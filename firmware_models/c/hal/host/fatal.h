/* How the program ends when it cannot go on. */
#ifndef TSU_FATAL_H
#define TSU_FATAL_H

enum {
    EXIT_FAILED = 1,  /* the firmware answered a command with another status than OK */
    EXIT_USAGE = 2,   /* the command line is wrong */
    EXIT_LINK = 3,    /* nobody answers, or what came is no reply */
    EXIT_REFUSED = 4, /* the chip or its daemon refused a request */
};

/* A line on stderr, and the end. */
_Noreturn void fatal(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
