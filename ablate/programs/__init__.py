"""Any program as a task: what it is given, how it is started, what it leaves. Knows no study."""
