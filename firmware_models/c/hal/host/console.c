/* The host's program: commands from the command line or standard input stand for the mailbox. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fatal.h"
#include "hal_host.h"
#include "tsu_hal.h"

#define LINE_MAX_BYTES 1024

static char **arguments;
static bool failed;

/* Words of the command under way, and of its answer. */
static uint32_t words[1 + COMMAND_WORDS_MAX];
static unsigned count, next, wanted, got;

static void usage(void) {
    fputs("usage: tsu_firmware [--record FILE] [--timeout-ms N] [--trace] ENDPOINT [COMMAND ...]\n"
          "Runs the firmware against the chip at ENDPOINT (ipc://PATH, tcp://HOST:PORT). A command is one argument, a name and\n"
          "numbers: \"anneal 192 20 64 100\"; without commands they are read from standard input, one a line.\n"
          "  --record FILE    every message goes to FILE, for tools/replay.py\n"
          "  --timeout-ms N   how long a reply may take (60000)\n"
          "  --trace          interrupts and boot stages on stderr\n"
          "Exit codes: 0, 1 a command failed, 2 usage, 3 no link, 4 the chip refused a request. Commands:\n",
          stderr);
    for (const command *c = COMMANDS; c->name; c++) {
        fprintf(stderr, "  %-9s %s\n", c->name, c->help);
    }
    exit(EXIT_USAGE);
}

/* Words of a command line; false if it is empty. */
static bool parse(char *line) {
    char *name = strtok(line, " \t\n");
    if (!name) {
        return false;
    }
    const command *c = COMMANDS;
    while (c->name && strcmp(c->name, name) != 0) {
        c++;
    }
    if (!c->name) {
        fatal(EXIT_USAGE, "no command %s", name);
    }
    unsigned n = 0;
    for (char *text = strtok(NULL, " \t\n"); text; text = strtok(NULL, " \t\n")) {
        char *end;
        long long value = strtoll(text, &end, 0);
        if (*end || value < INT32_MIN || value > UINT32_MAX || n == COMMAND_WORDS_MAX) {
            fatal(EXIT_USAGE, "%s: %s is no 32-bit number, or one of more than %u", name, text, COMMAND_WORDS_MAX);
        }
        words[1 + n++] = (uint32_t)value;
    }
    words[0] = COMMAND_HEADER(c - COMMANDS, n, 0);
    count = 1 + n;
    next = 0;
    return true;
}

static bool next_line(char *line) {
    if (!arguments) {
        return fgets(line, LINE_MAX_BYTES, stdin) != NULL;
    }
    if (!*arguments) {
        return false;
    }
    if (snprintf(line, LINE_MAX_BYTES, "%s", *arguments++) >= LINE_MAX_BYTES) {
        fatal(EXIT_USAGE, "a command of more than %d characters", LINE_MAX_BYTES - 1);
    }
    return true;
}

bool tsu_mailbox_take(uint32_t *word) {
    char line[LINE_MAX_BYTES];
    while (next == count) {
        if (!next_line(line)) {
            return false;
        }
        parse(line);
    }
    *word = words[next++];
    return true;
}

/* An answer is printed when it is whole: name, status, words in decimal as signed numbers. */
void tsu_mailbox_put(uint32_t word) {
    static uint32_t header;
    if (!wanted) {
        header = word;
        wanted = 1 + COMMAND_COUNT(word);
        got = 0;
        printf("%s %s", COMMANDS[COMMAND_NUMBER(word)].name, STATUS_NAMES[COMMAND_STATUS(word)]);
        failed |= COMMAND_STATUS(header) != STATUS_OK;
    } else {
        printf(" %" PRId32, (int32_t)word);
    }
    if (++got == wanted) {
        wanted = 0;
        putchar('\n');
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    const char *record = NULL;
    int timeout_ms = 60000, k = 1;
    bool trace = false;
    for (; k < argc && strncmp(argv[k], "--", 2) == 0; k++) {
        if (strcmp(argv[k], "--trace") == 0) {
            trace = true;
        } else if (strcmp(argv[k], "--record") == 0 && k + 1 < argc) {
            record = argv[++k];
        } else if (strcmp(argv[k], "--timeout-ms") == 0 && k + 1 < argc && atoi(argv[k + 1]) > 0) {
            timeout_ms = atoi(argv[++k]);
        } else {
            usage();
        }
    }
    if (k >= argc) {
        usage();
    }
    hal_open(argv[k], record, timeout_ms, trace);
    arguments = k + 1 < argc ? argv + k + 1 : NULL;
    serve_commands();
    hal_close();
    return failed ? EXIT_FAILED : 0;
}
