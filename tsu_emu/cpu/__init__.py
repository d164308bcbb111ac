"""The chip's firmware core: one RV32IMC_Zicsr hart in machine mode, compiled. docs/core.md says what it does and when.

state: its records; hart: what executes; elf: the loader. Importing the package alone declares nothing to compile.
"""
