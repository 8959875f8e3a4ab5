"""`make bench`: Postroom beside its peers on this machine, in one run. docs/bench.md says what is measured and how."""
