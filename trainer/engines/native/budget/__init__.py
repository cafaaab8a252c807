"""Answers to budget questions: history, reallocation, and their files."""
