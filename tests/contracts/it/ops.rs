//! The operators' API: what an earlier release answered or was asked is read whole, as JSON and as bytes, and written the
//! same. Fields that are missing read as empty there, so a field that changed its name would otherwise go unnoticed.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use contract::ops;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::golden;

/// Whether bytes read as a certain value.
type Same = Box<dyn Fn(&[u8]) -> bool>;

/// What became of a kept message.
struct Read {
    json: Value,
    bytes: Vec<u8>,
    /// The kept bytes read as the value that the kept JSON reads as.
    same: Same,
}

fn read<T>(json: &str) -> Read
where
    T: prost::Message + Default + PartialEq + Debug + Serialize + DeserializeOwned + 'static,
{
    let value: T = serde_json::from_str(json).unwrap();
    let (json, bytes) = (serde_json::to_value(&value).unwrap(), value.encode_to_vec());
    Read { json, bytes, same: Box::new(move |kept| T::decode(kept).unwrap() == value) }
}

macro_rules! messages {
    ($($message:ident),* $(,)?) => {
        [$((stringify!($message), read::<ops::$message> as fn(&str) -> Read)),*]
    };
}

fn messages() -> BTreeMap<&'static str, fn(&str) -> Read> {
    BTreeMap::from(messages![
        Accepted,
        Attempt,
        Because,
        CaseDetail,
        CaseList,
        CaseSummary,
        Conflict,
        ConflictDecision,
        ConflictDetail,
        ConflictList,
        DeadLetter,
        DeadLetterAction,
        DeadLetterActionAnswer,
        DeadLetterDetail,
        DeadLetterList,
        DirectoryStatus,
        Explanation,
        ExplanationLink,
        ExplanationList,
        Failure,
        Guard,
        LaneStatus,
        LeaseStatus,
        MemberChange,
        OutboxStatus,
        PauseRequest,
        PlanApply,
        PlanDetail,
        PlanList,
        PlanSummary,
        ProductAccess,
        Status,
        StatusList,
        SyncRequest,
        TargetStatus,
        Verdict,
        VerdictAnswer,
        VerdictResult,
    ])
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/ops/v1")
}

/// The message in a file: `DeadLetterList` in `dead_letter_list.json`, and in `dead_letter_list.2.json` as it became later.
pub(crate) fn message_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// Each message's kept values.
fn kept() -> BTreeMap<String, Vec<(PathBuf, Value)>> {
    let mut kept: BTreeMap<String, Vec<(PathBuf, Value)>> = BTreeMap::new();
    for path in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            kept.entry(message_of(&path)).or_default().push((path, value));
        }
    }
    kept
}

/// Whether a value says nothing: what a field is that an earlier release did not know.
fn is_empty(value: &Value) -> bool {
    [json!(null), json!(0), json!(""), json!(false), json!([]), json!({})].contains(value)
}

/// Whether `now` says all of `kept`, and nothing else.
fn says(now: &Value, kept: &Value) -> bool {
    match (now, kept) {
        (Value::Object(now), Value::Object(kept)) => {
            let nothing_new = now.iter().all(|(field, value)| kept.contains_key(field) || is_empty(value));
            nothing_new && kept.iter().all(|(field, kept)| now.get(field).is_some_and(|now| says(now, kept)))
        }
        (Value::Array(now), Value::Array(kept)) => {
            now.len() == kept.len() && now.iter().zip(kept).all(|(now, kept)| says(now, kept))
        }
        _ => now == kept,
    }
}

#[test]
fn messages_of_the_operators_api_read_and_write_as_kept() {
    let (messages, kept) = (messages(), kept());
    assert!(messages.keys().copied().eq(kept.keys()), "kept are {:?}", kept.keys());
    for (message, (path, kept)) in kept.iter().flat_map(|(message, all)| all.iter().map(move |one| (message, one))) {
        let now = messages.get(message.as_str()).unwrap()(&kept.to_string());
        assert!(says(&now.json, kept), "{}: a field was renamed or lost: {}", path.display(), now.json);
        let bytes = path.with_extension("hex");
        // As with the other messages: what is missing is written on demand, a kept file never again.
        if option_env!("ROLLCALL_WRITE_GOLDEN").is_some() {
            golden::keep(&bytes, &(hex::encode(&now.bytes) + "\n"));
        }
        let kept = golden::read(&bytes);
        assert!((now.same)(&kept), "{message}: the kept bytes read as something else");
        assert_eq!(hex::encode(&now.bytes), hex::encode(&kept), "{message}: the value is written in other bytes");
    }
}

#[test]
fn a_message_may_gain_a_field_and_not_lose_or_rename_one() {
    let kept = json!({ "id": "1", "rows": [{ "n": 1 }] });
    assert!(says(&json!({ "id": "1", "rows": [{ "n": 1, "new": "" }], "more": 0 }), &kept));
    for now in [
        json!({ "rows": [{ "n": 1 }] }),
        json!({ "name": "1", "rows": [{ "n": 1 }] }),
        json!({ "id": "1", "rows": [{ "count": 1 }] }),
        json!({ "id": "1", "rows": [] }),
        json!({ "id": "1", "rows": [{ "n": 1, "new": "something" }] }),
    ] {
        assert!(!says(&now, &kept), "{now}");
    }
}

/// A message, or a field of one, that is added is kept from then on, with a value in some file of the message; nothing
/// that was kept goes away.
#[test]
fn every_field_of_the_operators_api_is_kept() {
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/rollcall/ops/v1/ops.proto");
    let proto = fs::read_to_string(proto).unwrap();
    let kept = kept();
    let (mut fields, mut of) = (0, None);
    for line in proto.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(message) = line.strip_prefix("message ").and_then(|rest| rest.strip_suffix(" {")) {
            of = Some((message, kept.get(message).unwrap_or_else(|| panic!("{message} is not kept"))));
        } else if let (Some((message, kept)), Some((declared, _))) = (&of, line.split_once(" = ")) {
            let field = declared.rsplit(' ').next().unwrap();
            let has_value = |kept: &(PathBuf, Value)| kept.1.get(field).is_some_and(|value| !is_empty(value));
            assert!(kept.iter().any(has_value), "{message}.{field} is not kept with a value");
            fields += 1;
        }
    }
    assert!(fields > 100, "{fields} fields were found");
    assert_eq!(proto.matches("\nmessage ").count(), messages().len());
}
