//! Today's release reads the kept bytes, and writes the same ones.

use std::{collections::BTreeMap, fs, path::PathBuf};

use contract::{DeadLetterNotice, DirectoryEvent, Payload, Verify};
use serde::{Serialize, de::DeserializeOwned};

use crate::samples;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// The kept bytes of a sample.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
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
        let text = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let value: T = serde_json::from_str(&text).unwrap();
        assert_eq!(&value, sample, "{name}: the sample and the kept value differ");
        assert_eq!(T::from_bytes(&kept).unwrap(), value, "{name}: the kept bytes read as something else");
        assert_eq!(hex::encode(value.to_bytes()), hex::encode(&kept), "{name}: the value is written in other bytes");
    }
}

fn write_missing<T: Payload + Serialize>(samples: &BTreeMap<&'static str, T>) {
    for (name, sample) in samples {
        let path = folder().join(format!("{name}.hex"));
        if path.exists() {
            continue;
        }
        let text = hex::encode(sample.to_bytes());
        let lines: Vec<&str> = text.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
        fs::write(path, lines.join("\n") + "\n").unwrap();
        let json = serde_json::to_string_pretty(sample).unwrap() + "\n";
        fs::write(folder().join(format!("{name}.json")), json).unwrap();
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
    check::<model::Plan>(&samples::plans());
}

#[test]
fn every_kept_file_has_its_sample() {
    let mut names: Vec<&str> = samples::events().into_keys().collect();
    names.extend(samples::verifies().into_keys());
    names.extend(samples::commands().into_keys());
    names.extend(samples::outcomes().into_keys());
    names.extend(samples::notices().into_keys());
    names.extend(samples::plans().into_keys());
    names.sort_unstable();
    let mut kept: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".hex").map(str::to_owned))
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, names);
}
