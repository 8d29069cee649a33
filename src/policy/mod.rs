//! May this be handed out, for this use, now? Pure: decided on headers and the time.

pub mod release;
pub mod select;
pub mod variable;
