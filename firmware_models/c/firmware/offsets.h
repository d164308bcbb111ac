/* Offsets of cells by the correlator's means, on a quiet array. */
#ifndef TSU_OFFSETS_H
#define TSU_OFFSETS_H

#include "commands.h"

#define CELLS_MAX 1024u

/* What a measurement found. Offsets are fields in kT at T = 1, Q24; figures over the cells that move. */
typedef struct {
    int32_t offset[CELLS_MAX];
    uint32_t cells, stuck; /* stuck: cells whose |mean| is above .97 */
    uint32_t rms, worst, worst_cell;
    uint32_t error; /* standard error of an offset near 0 */
} offsets;

/* STATUS_UNSUPPORTED unless the chip has p-bits, no more than CELLS_MAX of them. */
status offsets_check(void);

/* Reads that give each cell about so many samples, at least 1 and at most offsets_reads_max(). */
uint32_t offsets_reads(uint32_t samples);

/* Reads whose sum fits 32 bits. */
uint32_t offsets_reads_max(void);

/* The array is quiet. Takes `reads` reads of 256 samples in each plane. STATUS_FAULT, STATUS_TIMEOUT as sequencer_run. */
status offsets_measure(uint32_t reads, offsets *found);

/* rms with the error of measurement taken off, Q24. */
uint32_t offsets_left(const offsets *found);

#endif
