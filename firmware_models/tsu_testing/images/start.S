# Reset: stack, data, zeros, then main. The core comes here from power-on and from every reset; RAM may hold anything.
    .section .start, "ax"
    .globl start
start:
    la sp, stack_top
    la t0, trap
    csrw mtvec, t0
    la t0, data_load
    la t1, data_begin
    la t2, data_end
1:  bgeu t1, t2, 2f
    lw t3, 0(t0)
    sw t3, 0(t1)
    addi t0, t0, 4
    addi t1, t1, 4
    j 1b
2:  la t2, bss_end
3:  bgeu t1, t2, 4f
    sw zero, 0(t1)
    addi t1, t1, 4
    j 3b
4:  call main
5:  wfi
    j 5b
