//! May this be handed out, for this use, now? Pure: decided on headers and the time.

pub mod answer;
pub mod need;
pub mod place;
pub mod release;
pub mod scope;
pub mod select;
pub mod variable;
