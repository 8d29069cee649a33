//! The machine: the only place that touches files, variables, the clock, the terminal and processes.
