"""What happens inside a run: a task executes one configuration. Knows no study, plan or database."""
