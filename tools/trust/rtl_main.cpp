// Plays transactions on the register file: tsu_top TRANSACTIONS READINGS.
//
// A transaction is four 32-bit words, little-endian: kind, address or number of a hardware word, data, bits that are written.
// Kinds: 0 read, which adds a word to READINGS; 1 write; 2 the hardware's side holds data; 3 it stores data, for one cycle.

#include <cstdint>
#include <cstdio>
#include <vector>

#include "Vtsu_top.h"
#include "verilated.h"

namespace {

constexpr int patience = 16;

void clock(Vtsu_top& top) {
    top.clk = 1;
    top.eval();
    top.clk = 0;
    top.eval();
}

bool access(Vtsu_top& top, bool write, const uint32_t* t, uint32_t* word) {
    top.req = 1;
    top.is_write = write;
    top.address = t[1];
    top.data = t[2];
    top.bits = t[3];
    for (int cycle = 0; cycle < patience; ++cycle) {
        top.eval();
        const bool done = write ? top.write_ack : top.read_ack;
        *word = top.read_data;
        clock(top);
        top.req = 0;
        if (done) return true;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    Vtsu_top top;
    top.clk = 0;
    top.rst = 1;
    clock(top);
    clock(top);
    top.rst = 0;
    std::FILE* in = std::fopen(argv[1], "rb");
    std::FILE* out = std::fopen(argv[2], "wb");
    if (!in || !out) return 2;
    uint32_t t[4], word = 0;
    while (std::fread(t, sizeof t, 1, in) == 1) {
        if (t[0] >= 2) {
            top.hw[t[1]] = t[2];
            if (t[0] == 3) {
                top.load[t[1] / 32] = 1u << t[1] % 32;
                top.eval();
                clock(top);
                top.load[t[1] / 32] = 0;
            }
            continue;
        }
        if (!access(top, t[0] == 1, t, &word)) {
            std::fprintf(stderr, "no acknowledgement at address %#x\n", t[1]);
            return 1;
        }
        if (t[0] == 0) std::fwrite(&word, sizeof word, 1, out);
    }
    return std::fclose(out) == 0 && std::fclose(in) == 0 ? 0 : 1;
}
