//! Reading the twin of Google: what a sweep says, what it costs, and what it says when things go wrong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use google::{Auth, Config, GoogleReader};
use model::{AccountId, Answer, DirectoryId, Fact, GroupId, MemberKind, Reading, Standing, UserState};
use outbound::{Budget, Clock, ReadDirectory as _, Scope, Silent};
use serde_json::{Value, json};
use twin::engine::{Fault, FaultKind};
use twin::google::key;
use twin::load::Change;
use twin::{Running, Twin};

const ADMINISTRATOR: &str = "sync@example.com";

fn world() -> Value {
    let person = |id: &str, email: &str| json!({"id": id, "email": email, "given_name": "G", "family_name": "F"});
    let mut users = vec![
        person("u1", "ana@example.com"),
        person("u2", "bo@example.com"),
        json!({"id": "u3", "email": "out@elsewhere.org", "external": true}),
        json!({"id": "u4", "email": "old@example.com", "suspended": true}),
    ];
    let crowd: Vec<String> = (0..450).map(|number| format!("c{number:03}")).collect();
    users.extend(crowd.iter().map(|id| person(id, &format!("{id}@example.com"))));
    let user = |id: &str| json!({"id": id, "type": "USER", "role": "MEMBER"});
    let group = |id: &str| json!({"id": id, "type": "GROUP", "role": "MEMBER"});
    let crowd: Vec<Value> = crowd.iter().map(|id| user(id)).collect();
    json!({
        "format": "orgdir-snapshot/1",
        "users": users,
        "groups": [
            {"id": "g1", "email": "eng@example.com", "name": "eng", "description": "",
             "members": [user("u1"), user("u3"), user("u4"), group("g2"), group("g9")]},
            {"id": "g2", "email": "all@example.com", "name": "all", "description": "", "members": crowd},
            {"id": "g3", "email": "none@example.com", "name": "none", "description": "", "members": []},
            {"id": "g9", "email": "theirs@elsewhere.org", "name": "theirs", "external": true, "members": []},
        ],
    })
}

struct Stage {
    running: Running,
    reader: GoogleReader,
}

async fn stage() -> Stage {
    let running = Twin::start(twin::Config::default()).await.unwrap();
    running.twin.load(world().to_string().as_bytes()).unwrap();
    let reader = reader(&running, ADMINISTRATOR);
    running.twin.engine.counters.clear();
    Stage { running, reader }
}

fn reader(running: &Running, subject: &str) -> GoogleReader {
    let file = key::key_file(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID, &format!("{}/token", running.google_url()));
    let auth = Auth::ServiceAccount { key: file.to_string().into(), subject: subject.to_owned() };
    connect(running, auth)
}

fn connect(running: &Running, auth: Auth) -> GoogleReader {
    connect_at(running, auth, Clock::real())
}

fn connect_at(running: &Running, auth: Auth, clock: Clock) -> GoogleReader {
    let config = Config {
        endpoint: Some(running.google_url()),
        customer: "my_customer".to_owned(),
        auth,
        budget: Budget::learned("google", 100, 8, Clock::real()),
        clock,
        timeout: Duration::from_secs(20),
        parallel: 8,
    };
    GoogleReader::connect(config).unwrap()
}

impl Stage {
    async fn sweep(&self) -> Reading {
        self.reader.sweep(&Scope::All, &Silent).await.unwrap()
    }

    fn break_it(&self, operation: &str, kind: FaultKind) {
        self.running.twin.engine.faults.inject(Fault::new("google*", operation, kind));
    }

    fn calls(&self) -> BTreeMap<String, u64> {
        let (families, _) = self.running.twin.engine.counters.all();
        let operations = families.into_iter().filter(|(family, _)| family == "google.directory");
        operations.flat_map(|(_, operations)| operations).map(|(name, figures)| (name, figures.calls)).collect()
    }
}

fn members<'a>(reading: &'a Reading, group: &str) -> &'a model::MembersRead {
    reading.members.iter().find(|read| read.group.as_str() == group).unwrap()
}

fn directory() -> DirectoryId {
    DirectoryId::new("workspace").unwrap()
}

fn member(group: &str, user: &str) -> Fact {
    Fact::Member { directory: directory(), group: GroupId::new(group).unwrap(), user: AccountId::new(user).unwrap() }
}

#[tokio::test]
async fn a_sweep_sees_everything_with_the_least_calls() {
    let stage = stage().await;
    let reading = stage.sweep().await;
    assert!(reading.is_whole());
    let user = |id: &str| reading.users.seen.iter().find(|user| user.id.as_str() == id).unwrap();
    assert_eq!(user("u1").standing, Standing::Listed);
    assert_eq!(user("u3").standing, Standing::Unlisted);
    assert_eq!(user("u4").state, UserState::Suspended);
    assert_eq!(members(&reading, "g2").seen.len(), 450);
    assert_eq!(members(&reading, "g1").seen.len(), 5);
    let theirs = reading.groups.seen.iter().find(|group| group.id.as_str() == "g9").unwrap();
    assert!(theirs.opaque, "a group that is not in our own list cannot be read");
    assert!(!reading.members.iter().any(|read| read.group.as_str() == "g9"), "and is not asked");
    let calls = stage.calls();
    assert_eq!(calls["users.list"], 2, "one page, and one of those deleted lately: {calls:?}");
    assert_eq!((calls["groups.list"], calls["members.list"]), (1, 1 + 3 + 1), "{calls:?}");
}

#[tokio::test]
async fn only_the_groups_in_scope_are_walked() {
    let stage = stage().await;
    let reading = stage.reader.sweep(&Scope::of(|group| group.name == "eng"), &Silent).await.unwrap();
    assert_eq!(reading.members.len(), 1);
    assert!(reading.is_whole());
}

#[tokio::test]
async fn i02_trouble_in_the_middle_of_a_walk_never_looks_like_an_absence() {
    for page in 1..=3 {
        for kind in [
            FaultKind::Fail { status: 400, after: false, plain: false },
            FaultKind::RepeatPage,
            FaultKind::BadToken,
            FaultKind::Forbidden,
        ] {
            // Only the page in the middle has a token that leads to it and one that it can repeat.
            if page != 2 && matches!(kind, FaultKind::RepeatPage | FaultKind::BadToken) {
                continue;
            }
            let stage = stage().await;
            let fault = Fault {
                page: Some(page),
                target: "g2".to_owned(),
                ..Fault::new("google*", "members.list", kind.clone())
            };
            stage.running.twin.engine.faults.inject(fault);
            let reading = stage.sweep().await;
            assert!(!members(&reading, "g2").complete, "page {page}, {kind:?}");
            assert!(members(&reading, "g1").complete, "others are read: page {page}, {kind:?}");
        }
    }
}

#[tokio::test]
async fn trouble_that_passes_costs_nothing_but_a_repetition() {
    for kind in [
        FaultKind::Fail { status: 503, after: false, plain: true },
        FaultKind::Reset { after: false },
        FaultKind::Html { after: false },
        FaultKind::BadToken,
        FaultKind::Throttle { retry_after: None, shape: Some("quotaExceeded".to_owned()) },
        FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: Some("userRateLimitExceeded".to_owned()) },
        FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: Some("plain".to_owned()) },
        FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: None },
    ] {
        let stage = stage().await;
        let fault = Fault { page: Some(2), times: Some(1), ..Fault::new("google*", "members.list", kind.clone()) };
        stage.running.twin.engine.faults.inject(fault);
        let reading = stage.sweep().await;
        assert!(reading.is_whole(), "{kind:?}");
        assert_eq!(members(&reading, "g2").seen.len(), 450, "{kind:?}");
    }
}

#[tokio::test]
async fn i02_a_list_that_cannot_be_true_is_not_complete() {
    let stage = stage().await;
    stage.break_it("users.list", FaultKind::EmptyPage { keep_next: false });
    stage.break_it("groups.list", FaultKind::EmptyPage { keep_next: false });
    let reading = stage.reader.sweep(&Scope::All, &Silent).await.unwrap();
    assert!(!reading.users.complete && !reading.groups.complete);
}

#[tokio::test]
async fn a_lost_page_is_asked_for_again() {
    let stage = stage().await;
    let fault =
        Fault { times: Some(1), target: "g2".to_owned(), ..Fault::new("google*", "members.list", FaultKind::Truncate) };
    stage.running.twin.engine.faults.inject(fault);
    let reading = stage.sweep().await;
    assert_eq!(members(&reading, "g2").seen.len(), 450, "Google counts more members than came: a second walk");
}

#[tokio::test]
async fn i02_lost_rights_in_the_middle_make_the_whole_pass_incomplete() {
    let stage = stage().await;
    let fault = Fault { skip: 1, ..Fault::new("google*", "members.list", FaultKind::Unauthorized) };
    stage.running.twin.engine.faults.inject(fault);
    let reading = stage.sweep().await;
    assert!(!reading.users.complete && !reading.groups.complete);

    let stage = self::stage().await;
    stage.break_it("*.list", FaultKind::Unauthorized);
    let error = stage.reader.sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(error.is_about_us(), "{error}");
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_renewed_once() {
    let stage = stage().await;
    assert!(stage.sweep().await.is_whole());
    stage.running.twin.engine.credentials().access_tokens.clear();
    assert!(stage.sweep().await.is_whole());
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_again_when_the_trouble_is_over() {
    let stage = stage().await;
    let fault = stage.running.twin.engine.faults.inject(Fault::new("google.token", "*", FaultKind::Unauthorized));
    assert!(stage.reader.sweep(&Scope::All, &Silent).await.is_err());
    assert!(stage.running.twin.engine.faults.remove(fault));
    assert!(stage.sweep().await.is_whole(), "what came in the place of a token is not kept");
}

#[tokio::test]
async fn a_subject_that_is_nobody_is_said_in_words_that_help() {
    let stage = stage().await;
    let reader = reader(&stage.running, "nobody@example.com");
    let error = reader.sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(error.is_about_us());
    assert!(error.message.contains("subject"), "{error}");
    assert!(!format!("{error:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn facts_are_read_one_by_one() {
    let stage = stage().await;
    let verify = async |fact: Fact| stage.reader.verify(&fact).await.unwrap();
    assert_eq!(verify(member("g1", "u1")).await, Answer::Holds);
    assert_eq!(verify(member("g1", "u3")).await, Answer::Holds, "people of other domains can be asked for by id");
    assert_eq!(verify(member("g1", "u2")).await, Answer::Gone);
    let nested = |id: &str| Fact::Nested {
        directory: directory(),
        group: GroupId::new("g1").unwrap(),
        nested: GroupId::new(id).unwrap(),
    };
    assert_eq!((verify(nested("g2")).await, verify(nested("g3")).await), (Answer::Holds, Answer::Gone));
    let user = |id: &str| Fact::User { directory: directory(), user: AccountId::new(id).unwrap() };
    assert_eq!((verify(user("u1")).await, verify(user("gone")).await), (Answer::Holds, Answer::Gone));
    let group = |id: &str| Fact::Group { directory: directory(), group: GroupId::new(id).unwrap() };
    assert_eq!((verify(group("g1")).await, verify(group("gone")).await), (Answer::Holds, Answer::Gone));
}

#[tokio::test]
async fn a_targeted_read_sees_what_changed_and_what_is_gone() {
    let stage = stage().await;
    let change = |text: Value| serde_json::from_value::<Change>(text).unwrap();
    stage
        .running
        .twin
        .change(&[
            change(json!({"op": "member_removed", "group": "g1", "id": "u1"})),
            change(json!({"op": "user_deleted", "id": "u2"})),
        ])
        .unwrap_or_else(|(applied, error)| panic!("after {applied}: {error}"));
    let ids = |texts: &[&str]| texts.iter().map(|text| GroupId::new(text).unwrap()).collect::<Vec<_>>();
    let users: Vec<_> = ["u1", "u2", "nobody"].iter().map(|id| AccountId::new(id).unwrap()).collect();
    let reading = stage.reader.reread(&ids(&["g1", "gone"]), &users).await.unwrap();
    assert_eq!(reading.groups.gone, ids(&["gone"]));
    let state = |id: &str| reading.users.seen.iter().find(|user| user.id.as_str() == id).map(|user| user.state);
    assert_eq!((state("u1"), state("u2")), (Some(UserState::Active), Some(UserState::Deleted)));
    assert!(state("nobody").is_none() && reading.users.gone.is_empty(), "not found is not deleted");
    assert!(!reading.users.complete && !reading.groups.complete, "nothing else was looked at");
    let read = members(&reading, "g1");
    assert!(read.complete && !read.seen.iter().any(|member| member.kind.id() == "u1"));
    assert!(read.seen.iter().any(|member| matches!(&member.kind, MemberKind::Group(id) if id.as_str() == "g2")));
    let outsider = reading.users.seen.iter().find(|user| user.id.as_str() == "u3").unwrap();
    assert_eq!(outsider.standing, Standing::Unlisted);

    let whole = stage.sweep().await;
    let deleted = whole.users.seen.iter().find(|user| user.id.as_str() == "u2").unwrap();
    assert_eq!(deleted.state, UserState::Deleted, "positive evidence");
}

#[tokio::test]
async fn an_oauth_client_reads_with_its_refresh_token() {
    let stage = stage().await;
    let grant = json!({"subject": ADMINISTRATOR, "scopes": google::SCOPES});
    let client = json!({"client_id": "web", "client_secret": "hush", "refresh_tokens": {"consent": grant}});
    let client = serde_json::from_value(client).unwrap();
    stage.running.twin.engine.credentials().oauth_clients.insert("web".to_owned(), client);
    let auth = |refresh: &str| Auth::OAuth {
        client_id: "web".to_owned(),
        client_secret: "hush".into(),
        refresh_token: refresh.into(),
    };
    assert!(connect(&stage.running, auth("consent")).sweep(&Scope::All, &Silent).await.unwrap().is_whole());
    let error = connect(&stage.running, auth("revoked")).sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(error.is_about_us() && error.message.contains("invalid_grant"), "{error}");
}

/// Parity 1.04, and failure 23: a secret that was replaced is taken over, and credentials of another customer are not.
#[tokio::test]
async fn i05_replaced_secrets_are_taken_over_unless_they_are_another_customers() {
    let stage = stage().await;
    let engine = &stage.running.twin.engine;
    // A token that was fetched in the same moment is not fetched again.
    let moment = Arc::new(AtomicI64::new(Clock::real().now_micros()));
    let consent = |token: &str| {
        moment.fetch_add(10_000_000, Ordering::SeqCst);
        let grant = json!({"subject": ADMINISTRATOR, "scopes": google::SCOPES});
        let client = json!({"client_id": "web", "client_secret": "hush", "refresh_tokens": {token: grant}});
        let mut credentials = engine.credentials();
        credentials.oauth_clients.insert("web".to_owned(), serde_json::from_value(client).unwrap());
        credentials.access_tokens.clear();
    };
    consent("first");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh-token");
    std::fs::write(&file, "first").unwrap();
    let refresh_token = outbound::Secret::fetch("file:refresh-token".parse().unwrap(), folder.path()).unwrap();
    let auth = Auth::OAuth { client_id: "web".to_owned(), client_secret: "hush".into(), refresh_token };
    let reader = connect_at(&stage.running, auth, Clock::manual(Arc::clone(&moment)));
    assert!(reader.sweep(&Scope::All, &Silent).await.unwrap().is_whole());
    assert_eq!(reader.customer_id().as_deref(), Some("C01twin00"));
    let user = AccountId::new("u1").unwrap();
    let directory = DirectoryId::new("workspace").unwrap();
    let fact = Fact::User { directory, user: user.clone() };

    // Revoked: refused until the file is replaced, and then without a word to us.
    consent("second");
    let refused = reader.verify(&fact).await.unwrap_err();
    assert!(refused.is_about_us() && refused.message.contains("invalid_grant"), "{refused}");
    std::fs::write(&file, "second").unwrap();
    assert_eq!(reader.verify(&fact).await.unwrap(), Answer::Holds);

    // Replaced by somebody else's: what they do not see is not gone.
    consent("third");
    std::fs::write(&file, "third").unwrap();
    stage.running.twin.world().google.customer_id = "C02other".to_owned();
    let nobody = Fact::User { directory: DirectoryId::new("workspace").unwrap(), user: AccountId::new("u99").unwrap() };
    for fact in [&fact, &nobody] {
        let refused = reader.verify(fact).await.unwrap_err();
        assert!(refused.code == "E0140" && refused.is_about_us(), "{refused}");
    }
    assert_eq!(reader.sweep(&Scope::All, &Silent).await.unwrap_err().code, "E0140");
    assert_eq!(reader.reread(&[], &[user]).await.unwrap_err().code, "E0140");
}

/// Parity 1.04: a key file that is replaced is taken over with the next token. Until it is right, what is refused says why,
/// and nobody is said to be gone.
#[tokio::test]
async fn i05_a_replaced_key_file_is_taken_over_with_the_next_token() {
    let stage = stage().await;
    let engine = &stage.running.twin.engine;
    let moment = Arc::new(AtomicI64::new(Clock::real().now_micros()));
    let token_uri = format!("{}/token", stage.running.google_url());
    let (other, id) = ("second@twin.iam.gserviceaccount.com", "100000000000000000002");
    let key_file = |email: &str, id: &str| key::key_file(email, id, &token_uri).to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("google.json");
    std::fs::write(&file, key_file(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID)).unwrap();
    let secret = outbound::Secret::fetch("file:google.json".parse().unwrap(), folder.path()).unwrap();
    let auth = Auth::ServiceAccount { key: secret, subject: ADMINISTRATOR.to_owned() };
    let reader = connect_at(&stage.running, auth, Clock::manual(Arc::clone(&moment)));
    assert!(reader.sweep(&Scope::All, &Silent).await.unwrap().is_whole());
    let refused = async || {
        moment.fetch_add(10_000_000, Ordering::SeqCst);
        let error = reader.sweep(&Scope::All, &Silent).await.unwrap_err();
        assert!(error.is_about_us() && error.stable_code() == "E0118", "{error}");
        assert!(!format!("{error:?}").contains("PRIVATE KEY"), "{error:?}");
        error.message
    };

    // The old key is revoked, and the tokens that it brought.
    {
        let mut credentials = engine.credentials();
        credentials.service_accounts.clear();
        credentials.access_tokens.clear();
        let account = key::service_account(other, id, key::default_scopes());
        credentials.service_accounts.insert(other.to_owned(), account);
    }
    let message = refused().await;
    assert!(message.contains("invalid_grant"), "{message}");
    // A file that is being written, and one that is not there for a moment.
    std::fs::write(&file, "{ \"type\": \"service_acc").unwrap();
    let message = refused().await;
    assert!(message.contains("key file is not one"), "{message}");
    std::fs::remove_file(&file).unwrap();
    let message = refused().await;
    assert!(message.contains("key file is not one"), "{message}");
    // Once it is right, the next read goes through, and the one after it needs no further token.
    std::fs::write(&file, key_file(other, id)).unwrap();
    moment.fetch_add(10_000_000, Ordering::SeqCst);
    for _ in 0..2 {
        assert!(reader.sweep(&Scope::All, &Silent).await.unwrap().is_whole());
    }
    assert_eq!(engine.credentials().access_tokens.len(), 1);
}

#[tokio::test]
async fn we_know_who_we_are_and_find_people_by_any_address() {
    let stage = stage().await;
    assert_eq!(stage.reader.who_am_i().await.unwrap().len(), 1);
    let found = async |email: &str| stage.reader.find_person(&model::Email::new(email).unwrap()).await.unwrap();
    assert_eq!(found("ANA@example.com").await.unwrap().id.as_str(), "u1");
    assert!(found("nobody@example.com").await.is_none());
    assert!(found("eng@example.com").await.is_none(), "a group is nobody");
}

#[tokio::test]
async fn i02_rights_that_were_narrowed_are_the_credentials_fault_and_nobodys_absence() {
    let stage = stage().await;
    stage.break_it("groups.list", FaultKind::Forbidden);
    let error = stage.reader.sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(error.is_about_us() && error.message.contains("administrator role"), "{error}");
}
