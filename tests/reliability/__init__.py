"""Proofs that kills, crashes, full disks, little memory and second writers lose nothing."""
