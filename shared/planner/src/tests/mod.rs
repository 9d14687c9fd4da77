//! Tests start converged and change one thing; their names are facts.

mod accounts;
mod basic;
mod contact;
mod customers;
mod default_groups;
mod groups;
mod guards;
mod history;
mod holds;
mod identity;
mod people;
mod properties;
mod reads;
