//! The verbs that ask the running services, through the operators' API.

mod apply;
mod client;
mod conflicts;
mod explain;
mod letters;
mod plan;
mod review;
mod status;
mod sync;
mod verdict;

use contract::ops;
use serde::Serialize;

use crate::args::Output;
use crate::show;

pub use apply::apply;
pub use explain::explain;
pub use letters::{dead_letters, redrive};
pub use plan::plan;
pub use review::review;
pub use status::status;
pub use sync::{pause, resume, sync};
pub use verdict::{approve, reject};

/// Prints a list: a table for people, one document, or a document for each line.
fn print<Item: Serialize>(output: Output, schema: &str, name: &str, items: &[Item], table: impl FnOnce() -> String) {
    match output {
        Output::Table => show::data(&table()),
        Output::Json => show::json(&serde_json::json!({ "schema": schema, name: items }), true),
        Output::Ndjson => items.iter().for_each(|item| show::json(&one(schema, item), false)),
    }
}

/// Prints one thing.
fn print_one<Item: Serialize>(output: Output, schema: &str, item: &Item, table: impl FnOnce() -> String) {
    match output {
        Output::Table => show::data(&table()),
        Output::Json | Output::Ndjson => show::json(&one(schema, item), output == Output::Json),
    }
}

fn one<Item: Serialize>(schema: &str, item: &Item) -> serde_json::Value {
    let mut value = serde_json::to_value(item).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("schema".to_owned(), schema.into());
    }
    value
}

/// The first twelve digits of a digest, which is what people type.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// What a case is about: its group by name, or its person by id.
fn about(case: &ops::CaseSummary) -> String {
    case.group.clone().or_else(|| case.person.clone()).unwrap_or_default()
}
