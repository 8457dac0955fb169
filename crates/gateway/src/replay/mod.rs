//! The log through the same models: the same bits, or which row differs.
