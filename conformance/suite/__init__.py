"""What is expected: cases, golden traces, known bugs, random cases, and the comparison."""
