//! Names of attributes in one spelling.

use serde_json::{Map, Value};

/// The value with the names of all attributes in the spelling given by `known`, found whatever their case
/// (RFC 7643 §2.1). Names that are not known stay as they are; of two spellings of one name the later counts.
pub fn fold(value: Value, known: &[&str]) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let spelled = known.iter().find(|known| known.eq_ignore_ascii_case(&name));
                (spelled.map_or(name, |known| (*known).to_owned()), fold(value, known))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| fold(item, known)).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_in_any_case_at_any_depth() {
        let folded =
            fold(json!({"USERNAME": "a", "Emails": [{"VALUE": "x"}], "other": 1}), &["userName", "emails", "value"]);
        assert_eq!(folded, json!({"userName": "a", "emails": [{"value": "x"}], "other": 1}));
    }
}
