"""A second oracle: the golden values again, from SPEC.md alone.

The golden files come from one source, reference/, which works on NumPy arrays of balls. This
package shares nothing with it: no line, no array, no number type, no code that reads cases,
and no generators of weights and random words. It is plain loops over single numbers, of 256
bits and rounded to nearest, and was written from conformance/contract/SPEC.md, the cases and
the golden files.

A golden value is the exact one rounded to the nearest double. So a value computed here,
rounded to a double, must equal it, without a tolerance. The one exception is a golden 0
whose terms cancel: see `Numbers.is_zero`.

What is recomputed (recompute.py):

* every single step and every prediction, since each starts from a golden state;
* the free run, checkpoint after checkpoint, until a budget of multiplications is spent, but at
  least as far as the first checkpoint after 0. Each case and dtype has its own budget, which
  an ensemble's networks share equally.

The number of samples classified correctly (`correct`) is not recomputed: it needs the whole
of the longest run. `python -m conformance.selftest.oracle` prints how many of the numbers
were recomputed; `--budget inf` leaves none out.
"""
