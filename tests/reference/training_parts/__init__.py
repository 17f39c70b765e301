"""What training.py is made of."""
