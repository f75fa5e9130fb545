"""What a program of the user's says: its modules and its options, read and never executed. Knows no run."""
