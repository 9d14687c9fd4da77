//! Today's release reads the kept bytes, and writes the same ones.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use contract::{DeadLetterNotice, DirectoryEvent, Payload, Verify};
use serde::{Serialize, de::DeserializeOwned};

use crate::{plans::plans, samples};

/// Plans that earlier releases wrote and this one would write otherwise: they read as before.
const EARLIER_PLANS: [&str; 1] = [
    // Digests of cases did not say the target yet.
    "plan_first",
];

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// The kept bytes of a sample.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    read(&folder().join(format!("{name}.hex")))
}

/// The bytes that a file keeps.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

/// Keeps a text; what is kept already stays, whatever it says.
pub(crate) fn keep(path: &Path, text: &str) {
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).unwrap(),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{}: {error}", path.display()),
    }
}

/// What the file beside the bytes says that they must read as.
fn expected<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()).unwrap()
}

fn check<T>(samples: &BTreeMap<&'static str, T>)
where
    T: Payload + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    // `ROLLCALL_WRITE_GOLDEN=1 cargo test -p rollcall-contracts` writes what is missing; a kept file is never rewritten.
    if option_env!("ROLLCALL_WRITE_GOLDEN").is_some() {
        write_missing(samples);
    }
    for (name, sample) in samples {
        let kept = bytes(name);
        let value: T = expected(name);
        assert_eq!(&value, sample, "{name}: the sample and the kept value differ");
        assert_eq!(T::from_bytes(&kept).unwrap(), value, "{name}: the kept bytes read as something else");
        assert_eq!(hex::encode(value.to_bytes()), hex::encode(&kept), "{name}: the value is written in other bytes");
    }
}

fn write_missing<T: Payload + Serialize>(samples: &BTreeMap<&'static str, T>) {
    for (name, sample) in samples {
        let text = hex::encode(sample.to_bytes());
        let lines: Vec<&str> = text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
        keep(&folder().join(format!("{name}.hex")), &(lines.join("\n") + "\n"));
        let json = serde_json::to_string_pretty(sample).unwrap() + "\n";
        keep(&folder().join(format!("{name}.json")), &json);
    }
}

#[test]
fn directory_events_read_and_write_as_kept() {
    check::<DirectoryEvent>(&samples::events());
}

#[test]
fn requests_to_verify_read_and_write_as_kept() {
    check::<Verify>(&samples::verifies());
}

#[test]
fn commands_read_and_write_as_kept() {
    check::<model::Command>(&samples::commands());
}

#[test]
fn outcomes_read_and_write_as_kept() {
    check::<model::Outcome>(&samples::outcomes());
}

#[test]
fn notices_of_dead_letters_read_and_write_as_kept() {
    check::<DeadLetterNotice>(&samples::notices());
}

#[test]
fn plans_read_and_write_as_kept() {
    check::<model::Plan>(&plans());
}

#[test]
fn plans_of_earlier_releases_read_as_kept() {
    for name in EARLIER_PLANS {
        let value: model::Plan = expected(name);
        assert_eq!(model::Plan::from_bytes(&bytes(name)).unwrap(), value, "{name}: it reads as something else");
        assert!(plans().values().all(|today| *today != value), "{name} is no earlier one");
    }
}

#[test]
fn what_is_kept_is_never_rewritten() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kept-{}.hex", std::process::id()));
    keep(&path, "0102");
    keep(&path, "0304");
    assert_eq!(read(&path), [1, 2]);
    fs::remove_file(path).unwrap();
}

#[test]
fn every_kept_file_has_its_sample() {
    let mut names: Vec<&str> = samples::events().into_keys().collect();
    names.extend(samples::verifies().into_keys());
    names.extend(samples::commands().into_keys());
    names.extend(samples::outcomes().into_keys());
    names.extend(samples::notices().into_keys());
    names.extend(plans().into_keys());
    names.extend(EARLIER_PLANS);
    names.sort_unstable();
    let mut kept: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".hex").map(str::to_owned))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, names);
}
