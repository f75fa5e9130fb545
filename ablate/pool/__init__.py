"""Who executes: a pool of workers that takes run specifications. Knows no study."""
