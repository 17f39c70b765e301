"""The parts of ../processor.py."""
