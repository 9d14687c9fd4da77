//! Tests start converged and change one thing; their names are facts.

mod accounts;
mod basic;
mod contact;
mod guards;
mod history;
mod identity;
mod properties;
mod reads;
