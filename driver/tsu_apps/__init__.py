"""Applications of a thermodynamic sampling unit, written on `tsu_driver` alone: they run unchanged on silicon.

They need the extra `tsu-driver[apps]`.
"""
