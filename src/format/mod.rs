//! What the bytes mean; pure, made only by parsing.
