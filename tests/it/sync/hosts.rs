//! Real git over real ssh and https.
