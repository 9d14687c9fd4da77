//! Nothing that the contracts can say is kept nowhere: every message, field, arm of a `oneof` and value of an enum in
//! `proto/` stands in some kept file.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use protox::prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

use crate::{golden, ops};

/// What files whose names begin so hold. Those of the operators' API are named after their message.
const HOLDS: [(&str, &str); 6] = [
    ("command_", "rollcall.command.v1.Command"),
    ("dead_letter_notice", "rollcall.command.v1.DeadLetterNotice"),
    ("directory_event_", "rollcall.directory.v1.DirectoryEvent"),
    ("outcome_", "rollcall.command.v1.Outcome"),
    ("plan", "rollcall.plan.v1.Plan"),
    ("verify", "rollcall.directory.v1.Verify"),
];

/// All of `proto/`, as the files say it now.
fn contracts() -> DescriptorPool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let (mut folders, mut protos) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                protos.push(path);
            }
        }
    }
    DescriptorPool::from_file_descriptor_set(protox::compile(protos, [root]).unwrap()).unwrap()
}

/// Each kept file and the message that it holds.
fn kept(contracts: &DescriptorPool) -> Vec<(PathBuf, MessageDescriptor)> {
    let message = |name: &str| contracts.get_message_by_name(name).unwrap_or_else(|| panic!("{name} is gone"));
    let bytes = |folder: &Path| -> Vec<PathBuf> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "hex")).collect()
    };
    let mut kept = Vec::new();
    for path in bytes(&golden::folder()) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let holds = HOLDS.iter().find(|(begins, _)| name.starts_with(begins));
        let (_, holds) = holds.unwrap_or_else(|| panic!("{}: which message is that?", path.display()));
        kept.push((path, message(holds)));
    }
    for path in bytes(&ops::folder()) {
        let holds = message(&format!("rollcall.ops.v1.{}", ops::message_of(&path)));
        kept.push((path, holds));
    }
    kept
}

/// Everything that the contracts can say, by its full name. The zero of an enum is left out: it is never sent.
fn sayable(contracts: &DescriptorPool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for message in contracts.all_messages().filter(|message| !message.is_map_entry()) {
        names.insert(message.full_name().to_owned());
        names.extend(message.fields().map(|field| field.full_name().to_owned()));
    }
    for words in contracts.all_enums() {
        let sent = words.values().filter(|value| value.number() != 0);
        names.extend(sent.map(|value| format!("{}.{}", words.full_name(), value.name())));
    }
    names
}

/// What a message says: itself and its fields that have a value, all the way down.
fn said(message: &DynamicMessage, names: &mut BTreeSet<String>) {
    names.insert(message.descriptor().full_name().to_owned());
    for (field, value) in message.fields() {
        names.insert(field.full_name().to_owned());
        said_by_value(&field.kind(), value, names);
    }
}

fn said_by_value(kind: &Kind, value: &Value, names: &mut BTreeSet<String>) {
    match (value, kind) {
        (Value::Message(message), _) => said(message, names),
        (Value::List(values), _) => {
            for value in values {
                said_by_value(kind, value, names);
            }
        }
        (Value::Map(values), Kind::Message(entry)) => {
            let kind = entry.map_entry_value_field().kind();
            let values: Vec<&Value> = values.values().collect();
            for value in values {
                said_by_value(&kind, value, names);
            }
        }
        (Value::EnumNumber(number), Kind::Enum(words)) => {
            let name = words.get_value(*number).unwrap_or_else(|| panic!("{} lost {number}", words.full_name()));
            names.insert(format!("{}.{}", words.full_name(), name.name()));
        }
        _ => {}
    }
}

/// What no kept file says, but for those whose names `without` picks.
fn missing(without: impl Fn(&str) -> bool) -> Vec<String> {
    let contracts = contracts();
    let mut names = BTreeSet::new();
    for (path, holds) in kept(&contracts) {
        if !without(path.file_stem().unwrap().to_str().unwrap()) {
            let message = DynamicMessage::decode(holds, golden::read(&path).as_slice());
            said(&message.unwrap_or_else(|error| panic!("{}: {error}", path.display())), &mut names);
        }
    }
    let sayable = sayable(&contracts);
    assert!(sayable.len() > 400, "only {} names were found; the rule would say nothing", sayable.len());
    sayable.difference(&names).cloned().collect()
}

#[test]
fn everything_that_the_contracts_can_say_is_kept() {
    let missing = missing(|_| false);
    assert!(missing.is_empty(), "no kept file has a value for\n  {}", missing.join("\n  "));
}

#[test]
fn what_no_kept_file_says_is_noticed() {
    let wanted = [
        "Plan.wider",
        "Step.CreateGroup.description",
        "UserState.USER_STATE_UNINVITED",
        "Wait.address_taken",
        "WiderGuard",
        "WiderGuard.budget",
        "WiderGuard.rule",
    ];
    let wanted = wanted.map(|name| format!("rollcall.plan.v1.{name}"));
    assert_eq!(missing(|name| name == "plan_wider"), wanted);
    assert_eq!(missing(|name| name == "accepted"), ["rollcall.ops.v1.Accepted", "rollcall.ops.v1.Accepted.message"]);
}
