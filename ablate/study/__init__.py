"""What is asked: a file becomes a Study, a Study becomes a Plan. Trains nothing, opens no database."""
