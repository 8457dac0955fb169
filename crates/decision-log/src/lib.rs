//! The log of decisions on disk: what a record holds, how segments are written, and read back to the bit.
