#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use serde_json::json;

use super::*;

fn member(row: Value) -> Option<SeenMember> {
    serde_json::from_value::<WireMember>(row).unwrap().seen()
}

#[test]
fn every_mask_of_a_list_names_the_page_token() {
    for mask in [USERS_FIELDS, DELETED_FIELDS, GROUPS_FIELDS, MEMBERS_FIELDS] {
        assert!(mask.starts_with("nextPageToken,"), "{mask}");
        assert!(!mask.contains(' '), "{mask}");
    }
}

#[test]
fn kinds_of_members_are_told_apart() {
    let kind = |row: Value| member(row).unwrap().member.kind;
    assert_eq!(
        kind(json!({"id": "1", "type": "USER", "email": "a@x.y"})),
        MemberKind::User(AccountId::new("1").unwrap())
    );
    assert_eq!(kind(json!({"id": "2", "type": "GROUP"})), MemberKind::Group(GroupId::new("2").unwrap()));
    assert_eq!(kind(json!({"id": "C01", "type": "CUSTOMER"})), MemberKind::Everyone("C01".to_owned()));
    let robot = json!({"id": "3", "type": "USER", "email": "ci@project.iam.GServiceAccount.com"});
    assert_eq!(kind(robot), MemberKind::Other("3".to_owned()));
    assert_eq!(kind(json!({"id": "4", "type": "SHARED_DRIVE"})), MemberKind::Other("4".to_owned()));
}

#[test]
fn a_member_without_a_kind_or_an_id_cannot_be_read() {
    for row in [json!({"id": "1"}), json!({"id": "1", "type": null}), json!({"type": "USER"})] {
        assert!(serde_json::from_value::<WireMember>(row).is_err());
    }
    assert_eq!(member(json!({"id": "", "type": "USER"})), None);
}

#[test]
fn a_missing_role_is_member_and_a_missing_status_is_somebody_elses_person() {
    let seen = member(json!({"id": "1", "type": "USER", "email": "a@x.y"})).unwrap();
    assert_eq!((seen.member.role, seen.managed), (Role::Member, false));
    let seen = member(json!({"id": "1", "type": "USER", "role": "OWNER", "status": "ACTIVE"})).unwrap();
    assert_eq!((seen.member.role, seen.managed), (Role::Owner, true));
    assert_eq!(seen.outsider().unwrap().standing, Standing::Unlisted);
}

#[test]
fn suspended_comes_before_archived_and_what_is_not_a_boolean_cannot_be_read() {
    let read = |row: Value| serde_json::from_value::<WireUser>(row);
    let both = json!({"id": "1", "primaryEmail": "a@x.y", "suspended": true, "archived": true});
    assert_eq!(read(both).unwrap().user().unwrap().state, UserState::Suspended);
    let archived = json!({"id": "1", "primaryEmail": "a@x.y", "archived": true});
    assert_eq!(read(archived).unwrap().user().unwrap().state, UserState::Archived);
    assert!(read(json!({"id": "1", "primaryEmail": "a@x.y", "suspended": "perhaps"})).is_err());
    assert!(read(json!({"id": "1", "primaryEmail": "a@x.y", "isGuestUser": true})).unwrap().user().is_none());
}

#[test]
fn attributes_have_paths_and_odd_shapes_are_left_out() {
    let row = json!({
        "id": "1", "primaryEmail": "a@x.y", "relations": "gone wrong",
        "organizations": [
            {"primary": true, "type": "work", "department": "Tools", "title": "Smith"},
            {"type": "school", "department": "Night"}
        ],
        "externalIds": [{"type": "organization", "value": "4711"}],
    });
    let user = serde_json::from_value::<WireUser>(row).unwrap().user().unwrap();
    assert_eq!(user.attributes["organizations[primary].department"], "Tools");
    assert_eq!(user.attributes["organizations[school].department"], "Night");
    assert_eq!(user.attributes["externalIds[organization].value"], "4711");
    assert!(user.attributes.keys().all(|key| !key.starts_with("relations")));
}

#[test]
fn the_count_of_members_is_read_in_both_spellings() {
    let count = |value: Value| {
        let row = json!({"id": "g", "email": "g@x.y", "directMembersCount": value});
        serde_json::from_value::<WireGroup>(row).unwrap().group().1
    };
    assert_eq!((count(json!("7")), count(json!(7)), count(Value::Null)), (Some(7), Some(7), None));
}
