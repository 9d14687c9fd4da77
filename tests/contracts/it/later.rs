//! A release to come, written by hand: it adds a field here, a value there. It reads what today's release wrote; today's
//! release reads from it what only adds fields, and buries what holds a value it does not know.

use contract::{ContractError, DirectoryEvent, EventKind, Payload};
use prost::Message;

use crate::{golden, samples};

/// `DirectoryEvent` of a later release: `cause` and `priority` are new.
#[derive(Clone, PartialEq, Message)]
struct LaterEvent {
    #[prost(string, tag = "1")]
    tenant: String,
    #[prost(string, tag = "2")]
    directory: String,
    #[prost(uint64, tag = "3")]
    version: u64,
    #[prost(int32, tag = "4")]
    kind: i32,
    #[prost(string, repeated, tag = "5")]
    ids: Vec<String>,
    #[prost(string, optional, tag = "6")]
    cause: Option<String>,
    #[prost(message, optional, tag = "7")]
    priority: Option<LaterPriority>,
}

/// A message that today's release has never heard of.
#[derive(Clone, PartialEq, Message)]
struct LaterPriority {
    #[prost(uint32, tag = "1")]
    rank: u32,
}

/// `EdgeChange` and what is around it, of a later release: op 3 is "suspend".
#[derive(Clone, PartialEq, Message)]
struct LaterEdge {
    #[prost(string, tag = "1")]
    account: String,
    #[prost(int32, tag = "2")]
    op: i32,
    #[prost(uint64, tag = "3")]
    person_generation: u64,
    #[prost(string, tag = "4")]
    note: String,
}

#[derive(Clone, PartialEq, Message)]
struct LaterEdges {
    #[prost(string, tag = "1")]
    group: String,
    #[prost(uint64, tag = "2")]
    generation: u64,
    #[prost(message, repeated, tag = "3")]
    edges: Vec<LaterEdge>,
}

#[derive(Clone, PartialEq, Message)]
struct LaterCommand {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    tenant: String,
    #[prost(string, tag = "3")]
    target: String,
    #[prost(int32, tag = "4")]
    lane: i32,
    #[prost(message, optional, tag = "7")]
    edges: Option<LaterEdges>,
    #[prost(message, optional, tag = "20")]
    transfer: Option<LaterPriority>,
}

fn later_command(op: i32, lane: i32) -> LaterCommand {
    let edge = LaterEdge { account: "a".to_owned(), op, person_generation: 1, note: "new".to_owned() };
    LaterCommand {
        id: vec![7; 16],
        tenant: "acme".to_owned(),
        target: "cloud".to_owned(),
        lane,
        edges: Some(LaterEdges { group: "g".to_owned(), generation: 2, edges: vec![edge] }),
        transfer: None,
    }
}

#[test]
fn i17_a_later_release_reads_what_this_one_wrote() {
    for (name, sample) in samples::events() {
        let read = LaterEvent::decode(golden::bytes(name).as_slice()).unwrap();
        assert_eq!((read.version, &read.ids), (sample.version, &sample.ids), "{name}");
        assert_eq!((read.cause, read.priority), (None, None), "{name}: what was added is absent");
    }
    let read = LaterCommand::decode(golden::bytes("command_edges").as_slice()).unwrap();
    let edges = read.edges.unwrap().edges;
    assert!(edges.iter().all(|edge| edge.note.is_empty() && !edge.account.is_empty()));
}

#[test]
fn i17_this_release_ignores_fields_that_a_later_one_added() {
    let later = LaterEvent {
        tenant: "acme".to_owned(),
        directory: "workspace".to_owned(),
        version: 9,
        kind: 3,
        ids: vec!["g1".to_owned()],
        cause: Some("hint".to_owned()),
        priority: Some(LaterPriority { rank: 4 }),
    };
    let read = DirectoryEvent::from_bytes(&later.encode_to_vec()).unwrap();
    assert_eq!((read.version, read.kind, read.ids.as_slice()), (9, EventKind::Members, &["g1".to_owned()][..]));
    let read = model::Command::from_bytes(&later_command(2, 1).encode_to_vec()).unwrap();
    assert_eq!(read.lane, model::Lane::Urgent);
}

#[test]
fn i17_a_value_that_a_later_release_added_is_an_error_and_never_a_default() {
    let suspend = model::Command::from_bytes(&later_command(3, 1).encode_to_vec());
    assert_eq!(suspend, Err(ContractError::UnknownValue { field: "EdgeChange.op", value: 3 }));
    let lane = model::Command::from_bytes(&later_command(1, 9).encode_to_vec());
    assert_eq!(lane, Err(ContractError::UnknownValue { field: "Command.lane", value: 9 }));
    // An arm of a `oneof` that this release does not know looks as if there were none.
    let mut transfer = later_command(1, 1);
    transfer.edges = None;
    transfer.transfer = Some(LaterPriority { rank: 1 });
    let transfer = model::Command::from_bytes(&transfer.encode_to_vec());
    assert_eq!(transfer, Err(ContractError::Missing { field: "Command.body" }));
}

#[test]
fn a_forgotten_operation_is_neither_an_addition_nor_a_removal() {
    let forgotten = model::Command::from_bytes(&later_command(0, 1).encode_to_vec());
    assert_eq!(forgotten, Err(ContractError::Missing { field: "EdgeChange.op" }));
}

#[test]
fn bytes_of_something_else_are_an_error() {
    assert!(matches!(model::Command::from_bytes(b"not protobuf at all"), Err(ContractError::Bytes { .. })));
    assert!(matches!(model::Outcome::from_bytes(b""), Err(ContractError::Length { .. })));
    let event = DirectoryEvent::from_bytes(&golden::bytes("outcome_edges"));
    assert!(event.is_err(), "an outcome is no directory event");
}
