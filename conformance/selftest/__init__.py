"""The suite tested: its teeth, a second oracle, fuzzing, mutation, tests. In a clone only."""
