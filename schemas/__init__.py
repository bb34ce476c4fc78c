"""What crosses a process boundary, as pydantic models. Imports nothing of ours."""
