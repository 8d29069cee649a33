//! age files and one signature; nothing else of cryptography.
