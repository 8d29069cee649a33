//! The real git and its object database, made harmless.
