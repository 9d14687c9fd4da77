//! Tests start converged and change one thing; their names are facts.

mod access;
mod accounts;
mod addresses;
mod administrators;
mod basic;
mod contact;
mod customers;
mod default_groups;
mod deleted;
mod doubts;
mod entries;
mod groups;
mod guards;
mod history;
mod holds;
mod identity;
mod in_sync;
mod leaving;
mod narrow;
mod people;
mod proofs;
mod properties;
mod reached;
mod reads;
mod renames;
mod unions;
