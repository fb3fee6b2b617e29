"""Evaluation: pure metrics, and protocols that only read a library."""
