//! Following an epoch that another device has made.
