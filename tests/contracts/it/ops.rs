//! The operators' API: what an earlier release answered or was asked is read whole, as JSON and as bytes, and written the
//! same. Fields that are missing read as empty there, so a field that changed its name would otherwise go unnoticed.

use std::{collections::BTreeMap, fmt::Debug, fs, path::PathBuf};

use contract::ops;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

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

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/ops/v1")
}

/// `DeadLetterList` as `dead_letter_list`.
fn file_of(message: &str) -> String {
    let mut name = String::new();
    for letter in message.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[test]
fn messages_of_the_operators_api_read_and_write_as_kept() {
    for (message, read) in messages() {
        let path = folder().join(format!("{}.json", file_of(message)));
        let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let now = read(&kept);
        assert_eq!(now.json, serde_json::from_str::<Value>(&kept).unwrap(), "{message}: a field was renamed or lost");
        let bytes = path.with_extension("hex");
        // As with the other messages: what is missing is written on demand, a kept file never again.
        if option_env!("ROLLCALL_WRITE_GOLDEN").is_some() && !bytes.exists() {
            fs::write(&bytes, hex::encode(&now.bytes) + "\n").unwrap();
        }
        let kept = hex::decode(fs::read_to_string(&bytes).unwrap().trim()).unwrap();
        assert!((now.same)(&kept), "{message}: the kept bytes read as something else");
        assert_eq!(hex::encode(&now.bytes), hex::encode(&kept), "{message}: the value is written in other bytes");
    }
}

/// A message, or a field of one, that is added is kept from then on; nothing that was kept goes away.
#[test]
fn every_field_of_the_operators_api_is_kept() {
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/rollcall/ops/v1/ops.proto");
    let proto = fs::read_to_string(proto).unwrap();
    let known = messages();
    let (mut fields, mut of) = (0, None);
    for line in proto.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(message) = line.strip_prefix("message ").and_then(|rest| rest.strip_suffix(" {")) {
            assert!(known.contains_key(message), "{message} is not among the kept messages");
            let kept = fs::read_to_string(folder().join(format!("{}.json", file_of(message)))).unwrap();
            of = Some((message, serde_json::from_str::<Value>(&kept).unwrap()));
        } else if let (Some((message, kept)), Some((declared, _))) = (&of, line.split_once(" = ")) {
            let field = declared.rsplit(' ').next().unwrap();
            let value = &kept[field];
            let empty = value.is_null() || value.as_u64() == Some(0) || *value == "" || *value == false;
            assert!(!empty, "{message}.{field} is not kept with a value");
            fields += 1;
        }
    }
    assert!(fields > 100, "{fields} fields were found");
    assert_eq!(proto.matches("\nmessage ").count(), known.len());
}
