//! The program, driven from outside.

mod pty;
